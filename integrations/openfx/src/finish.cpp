#include "finish.h"

#include <algorithm>
#include <cmath>

#include "resize.h"

namespace cleanplate_ofx {

using cleanplate::Maps;
using cleanplate::Picture;
using cleanplate::Size;

namespace {

// The constants of src/cleanplate/compositing/finish.py, which tells how they were found.
constexpr float subject_low = 0.5f, subject_high = 0.9f, kept_low = 0.05f, kept_high = 0.35f;
constexpr float spilled_low = 0.9f, spilled_high = 0.999f, shortest_way = 0.003f, enough = 0.25f;

float ramp(float value, float low, float high) { return std::clamp((value - low) / (high - low), 0.f, 1.f); }

// Minimum (or maximum) over a disc.
Maps move_edge(const Maps& alpha, int radius, bool shrinks) {
    Maps result = alpha;
    const Size size = alpha.size;
    for (int dy = -radius; dy <= radius; ++dy)
        for (int dx = -radius; dx <= radius; ++dx) {
            if (dx * dx + dy * dy > radius * radius + radius * 0.5) continue;
            const int first = std::max(0, -dx), last = std::min(size.width, size.width - dx);
            for (int y = std::max(0, -dy); y < std::min(size.height, size.height - dy); ++y) {
                const float* from = alpha.plane(0) + size_t(y + dy) * size.width + dx;
                float* into = result.plane(0) + size_t(y) * size.width;
                for (int x = first; x < last; ++x)
                    into[x] = shrinks ? std::min(into[x], from[x]) : std::max(into[x], from[x]);
            }
        }
    return result;
}

// Averages blocks of 2 x 2; an odd last row or column is averaged by itself.
Maps halve(const Maps& maps) {
    Maps result(maps.channels, {(maps.size.height + 1) / 2, (maps.size.width + 1) / 2});
    for (int c = 0; c < maps.channels; ++c)
        for (int y = 0; y < result.size.height; ++y) {
            const float* above = maps.plane(c) + size_t(2 * y) * maps.size.width;
            const float* below = 2 * y + 1 < maps.size.height ? above + maps.size.width : above;
            for (int x = 0; x < result.size.width; ++x) {
                const int left = 2 * x, right = std::min(2 * x + 1, maps.size.width - 1);
                result.plane(c)[size_t(y) * result.size.width + x] =
                    (above[left] + above[right] + below[left] + below[right]) / 4;
            }
        }
    return result;
}

// Divides three weighted colours by the weight in the fourth channel; gaps come from a picture of half the
// size
// ("pull-push": Gortler, Grzeszczuk, Szeliski and Cohen, The Lumigraph, 1996).
Maps fill(const Maps& weighted) {
    Maps result(3, weighted.size);
    const bool is_last = weighted.area() == 1;
    if (!is_last) {
        const Maps coarser = fill(halve(weighted));
        for (int c = 0; c < 3; ++c)
            cleanplate::interpolate(coarser.plane(c), coarser.size, result.plane(c), result.size);
    }
    for (size_t i = 0; i < weighted.area(); ++i) {
        const float weight = weighted.plane(3)[i];
        const float share = is_last ? 1.f : std::min(weight / enough, 1.f);
        for (int c = 0; c < 3; ++c) {
            float& colour = result.plane(c)[i];
            colour += (weighted.plane(c)[i] / std::max(weight, 1e-9f) - colour) * share;
        }
    }
    return result;
}

// The subject's colour everywhere: that of the nearest edge, farther out a mean over a larger part.
Maps spread_subject(const Maps& foreground, const Maps& alpha) {
    Maps weighted(4, alpha.size);
    for (size_t i = 0; i < alpha.area(); ++i) {
        const float weight = ramp(alpha.values[i], subject_low, subject_high);
        for (int c = 0; c < 3; ++c) weighted.plane(c)[i] = foreground.plane(c)[i] * weight;
        weighted.plane(3)[i] = weight;
    }
    const Maps filled = fill(halve(halve(weighted)));
    Maps result(3, alpha.size);
    for (int c = 0; c < 3; ++c)
        cleanplate::interpolate(filled.plane(c), filled.size, result.plane(c), result.size);
    return result;
}

}  // namespace

Maps choke(const Maps& alpha, double pixels) {
    const int whole = int(std::abs(pixels));
    const float fraction = float(std::abs(pixels) - whole);
    Maps result = whole ? move_edge(alpha, whole, pixels > 0) : alpha;
    if (fraction == 0) return result;
    const Maps far = move_edge(alpha, whole + 1, pixels > 0);
    for (size_t i = 0; i < result.values.size(); ++i)
        result.values[i] += (far.values[i] - result.values[i]) * fraction;
    return result;
}

Maps despill(const Maps& foreground, const Maps& alpha, const Picture& plate, double amount) {
    const Maps subject = spread_subject(foreground, alpha);
    Maps result(3, alpha.size);
    for (size_t i = 0; i < alpha.area(); ++i) {
        const float a = alpha.values[i];
        float own[3], way[3], along = 0, length = 0;
        for (int c = 0; c < 3; ++c) {
            own[c] = foreground.plane(c)[i];
            way[c] = float(plate.pixels[3 * i + c]) / float(plate.top) - subject.plane(c)[i];
            along += (own[c] - subject.plane(c)[i]) * way[c];
            length += way[c] * way[c];
        }
        const bool is_edge = a > kept_low && a < spilled_high;
        const float weight = is_edge ? float(amount) * (1 - ramp(a, spilled_low, spilled_high)) : 0.f;
        const float share = std::clamp(along / std::max(length, shortest_way), 0.f, 1.f) * weight;
        const float kept = ramp(a, kept_low, kept_high);
        for (int c = 0; c < 3; ++c) {
            const float clean = std::clamp(own[c] - way[c] * share, 0.f, 1.f);
            result.plane(c)[i] = clean * kept + subject.plane(c)[i] * (1 - kept);
        }
    }
    return result;
}

}  // namespace cleanplate_ofx
