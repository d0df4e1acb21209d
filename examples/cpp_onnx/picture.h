// Pictures and maps: the values that travel between the parts.

#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cleanplate {

struct Size {
    int height = 0;
    int width = 0;
    bool operator==(const Size& other) const { return height == other.height && width == other.width; }
    bool operator!=(const Size& other) const { return !(*this == other); }
};

// Interleaved RGB in whole code values, upright, from 0 to `top` (255 or 65535).
struct Picture {
    Size size;
    int top = 255;
    std::vector<uint16_t> pixels;  // (height, width, 3)

    Picture() = default;
    Picture(Size its_size, int its_top)
        : size(its_size), top(its_top), pixels(size_t(3) * its_size.height * its_size.width) {}
    uint16_t* row(int y) { return pixels.data() + size_t(3) * y * size.width; }
    const uint16_t* row(int y) const { return pixels.data() + size_t(3) * y * size.width; }
};

// Planes of floats, (channels, height, width).
struct Maps {
    int channels = 0;
    Size size;
    std::vector<float> values;

    Maps() = default;
    Maps(int its_channels, Size its_size)
        : channels(its_channels),
          size(its_size),
          values(size_t(its_channels) * its_size.height * its_size.width) {}
    size_t area() const { return size_t(size.height) * size.width; }
    float* plane(int channel) { return values.data() + channel * area(); }
    const float* plane(int channel) const { return values.data() + channel * area(); }
};

}  // namespace cleanplate
