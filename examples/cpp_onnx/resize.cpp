#include "resize.h"

#include <algorithm>
#include <cmath>

namespace cleanplate {

namespace {

// Whether halving is a good first step of averaging: it changes nothing, or the ratio is not whole.
bool halve_towards(Size size, Size target) {
    if (size.height % 2 || size.width % 2) return false;
    if (size.height / 2 < target.height || size.width / 2 < target.width) return false;
    bool whole = size.height % target.height == 0 && size.width % target.width == 0;
    return !whole || (size.height / 2 % target.height == 0 && size.width / 2 % target.width == 0);
}

Picture halve(const Picture& picture) {
    Picture result({picture.size.height / 2, picture.size.width / 2}, picture.top);
    for (int y = 0; y < result.size.height; ++y) {
        const uint16_t *above = picture.row(2 * y), *below = picture.row(2 * y + 1);
        uint16_t* into = result.row(y);
        for (int x = 0; x < result.size.width; ++x)
            for (int c = 0; c < 3; ++c) {
                int at = 6 * x + c;
                into[3 * x + c] = uint16_t((above[at] + above[at + 3] + below[at] + below[at + 3] + 2) >> 2);
            }
    }
    return result;
}

uint16_t round_code(float value, int top) { return uint16_t(std::clamp(int(std::lrint(value)), 0, top)); }

Picture average_blocks(const Picture& picture, Size size) {
    const int down = picture.size.height / size.height, across = picture.size.width / size.width;
    const float share = 1.f / float(down * across);
    Picture result(size, picture.top);
    for (int y = 0; y < size.height; ++y)
        for (int x = 0; x < size.width; ++x)
            for (int c = 0; c < 3; ++c) {
                int64_t sum = 0;
                for (int dy = 0; dy < down; ++dy) {
                    const uint16_t* from = picture.row(y * down + dy) + 3 * x * across + c;
                    for (int dx = 0; dx < across; ++dx) sum += from[3 * dx];
                }
                result.row(y)[3 * x + c] = round_code(float(sum) * share, picture.top);
            }
    return result;
}

// The part of a new pixel that an old one covers, along one axis.
struct Share {
    int into, from;
    float weight;
};

// Slivers of less than a thousandth of an old pixel count as nothing.
std::vector<Share> share_out(int size, int smaller) {
    constexpr double sliver = 1e-3;
    const double ratio = double(size) / smaller;
    std::vector<Share> shares;
    for (int into = 0; into < smaller; ++into) {
        const double first = into * ratio, end = first + ratio, covered = std::min(ratio, size - first);
        const int last_whole = std::min(int(std::floor(end)), size - 1);
        const int first_whole = std::min(int(std::ceil(first)), last_whole);
        if (first_whole - first > sliver)
            shares.push_back({into, first_whole - 1, float((first_whole - first) / covered)});
        for (int from = first_whole; from < last_whole; ++from)
            shares.push_back({into, from, float(1.0 / covered)});
        if (end - last_whole > sliver)
            shares.push_back({into, last_whole, float(std::min({end - last_whole, 1.0, covered}) / covered)});
    }
    return shares;
}

Picture average_areas(const Picture& picture, Size size) {
    const auto across = share_out(picture.size.width, size.width);
    const auto down = share_out(picture.size.height, size.height);
    Picture result(size, picture.top);
    std::vector<float> line(size_t(3) * size.width), sum(line.size());
    for (size_t i = 0; i < down.size(); ++i) {
        std::fill(line.begin(), line.end(), 0.f);
        const uint16_t* from = picture.row(down[i].from);
        for (const Share& share : across)
            for (int c = 0; c < 3; ++c)
                line[3 * share.into + c] += float(from[3 * share.from + c]) * share.weight;
        const bool begins = i == 0 || down[i - 1].into != down[i].into;
        for (size_t j = 0; j < sum.size(); ++j) sum[j] = (begins ? 0.f : sum[j]) + down[i].weight * line[j];
        if (i + 1 == down.size() || down[i + 1].into != down[i].into) {
            uint16_t* into = result.row(down[i].into);
            for (size_t j = 0; j < sum.size(); ++j) into[j] = round_code(sum[j], picture.top);
        }
    }
    return result;
}

}  // namespace

Picture pad(const Picture& picture, Size padded) {
    if (picture.size == padded) return picture;
    Picture result(padded, picture.top);
    for (int y = 0; y < padded.height; ++y) {
        const uint16_t* from = picture.row(std::min(y, picture.size.height - 1));
        uint16_t* into = std::copy(from, from + 3 * picture.size.width, result.row(y));
        for (int x = picture.size.width; x < padded.width; ++x)
            into = std::copy(from + 3 * (picture.size.width - 1), from + 3 * picture.size.width, into);
    }
    return result;
}

Maps shrink(const Picture& picture, Size size) {
    Picture halved;
    const Picture* small = &picture;
    while (halve_towards(small->size, size)) {
        halved = halve(*small);
        small = &halved;
    }
    if (small->size != size) {
        bool whole = small->size.height % size.height == 0 && small->size.width % size.width == 0;
        halved = whole ? average_blocks(*small, size) : average_areas(*small, size);
        small = &halved;
    }
    Maps result(3, size);
    const float scale = float(1.0 / picture.top);
    for (size_t i = 0; i < result.area(); ++i)
        for (int c = 0; c < 3; ++c) result.plane(c)[i] = float(small->pixels[3 * i + c]) * scale;
    return result;
}

void interpolate(const float* plane, Size from, float* into, Size to) {
    struct Tap {
        int low, high;
        float share;
    };
    auto plan = [](int size, int result) {
        std::vector<Tap> taps(result);
        const double ratio = double(size) / result;
        for (int i = 0; i < result; ++i) {
            float position = float((i + 0.5) * ratio - 0.5);
            int low = int(std::floor(position));
            float share = position - float(low);
            if (low < 0) low = 0, share = 0;
            if (low >= size - 1) low = size - 1, share = 0;
            taps[i] = {low, std::min(low + 1, size - 1), share};
        }
        return taps;
    };
    const auto across = plan(from.width, to.width), down = plan(from.height, to.height);
    std::vector<float> above(to.width), below(to.width);
    int at = -1;
    auto read_row = [&](int y, std::vector<float>& line) {
        const float* row = plane + size_t(y) * from.width;
        for (int x = 0; x < to.width; ++x)
            line[x] = row[across[x].low] * (1.f - across[x].share) + row[across[x].high] * across[x].share;
    };
    for (int y = 0; y < to.height; ++y) {
        if (down[y].low != at) {
            at = down[y].low;
            read_row(at, above);
            read_row(down[y].high, below);
        }
        float* row = into + size_t(y) * to.width;
        const float share = down[y].share;
        for (int x = 0; x < to.width; ++x) row[x] = above[x] * (1.f - share) + below[x] * share;
    }
}

}  // namespace cleanplate
