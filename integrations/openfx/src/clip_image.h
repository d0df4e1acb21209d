// Images of the host: rows from bottom to top, any row stride, bytes, shorts or floats, RGB or RGBA.

#pragma once

#include <memory>
#include <vector>

#include "picture.h"
#include "suites.h"

namespace cleanplate_ofx {

enum class Depth { byte_, short_, float_ };

// One image of a clip; it goes back to the host at the end of its life.
class ClipImage {
public:
    // Null where the clip has no image at this time (not connected, for example). Throws std::runtime_error
    // if its type is none of those above.
    static std::unique_ptr<ClipImage> fetch(OfxImageEffectHandle effect, const char* clip, OfxTime time);
    ~ClipImage();
    ClipImage(const ClipImage&) = delete;

    const OfxRectI& bounds() const { return bounds_; }
    cleanplate::Size size() const { return {bounds_.y2 - bounds_.y1, bounds_.x2 - bounds_.x1}; }
    Depth depth() const { return depth_; }

    // The first channel of a pixel; y counts from the bottom.
    char* pixel(int x, int y) const;

    // Whole code values, upright; `top` is 255 or 65535. Floats are clipped to [0, 1], from scene-linear
    // light to sRGB's code values first if `linear`.
    cleanplate::Picture read(int top, bool linear) const;

    // The first three channels of a pixel of floats.
    void read_light(int x, int y, float* colour) const;

    // Writes RGB, and A where the image has it; floats as they are, others rounded and clipped.
    void write(int x, int y, const float* colour, float alpha) const;

private:
    explicit ClipImage(OfxPropertySetHandle properties);

    OfxPropertySetHandle properties_;
    char* data_ = nullptr;
    int row_bytes_ = 0, channels_ = 4;
    OfxRectI bounds_{};
    Depth depth_ = Depth::byte_;
};

// The transfer function of sRGB.
float to_code(float light);
float to_light(float code);

}  // namespace cleanplate_ofx
