#include "router.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "resize.h"

namespace cleanplate {

namespace {

// The constants of the changed region; src/cleanplate/router/changed_region.py tells how they were found.
constexpr int spread = 5;
constexpr float least_change = 0.016f, most_tolerance = 0.05f, noise_factor = 3.0f;
constexpr double quiet_share = 0.25, worthwhile = 0.9;
constexpr int sample_step = 4, margin = 32, grain = 32, alignment = 16;

// Overhead of a tile, as pixels added to its side: fitted to measured times.
constexpr int cost_margin = 6;

// Pixels that the refiner computes at once: bounds memory, and keeps the windows in the processor's cache.
constexpr int chunk_pixels = 1 << 15;

// Halo of the refiner's windows: two convolutions at half resolution, nearest x2, two at full resolution.
constexpr int half_halo = 3, full_halo = 2;

struct Span {
    int first, length;
};

// The first and last changed index, with margin, widened to multiples of the grain.
Span widen(const std::vector<bool>& changed) {
    const int length = int(changed.size());
    int low = 0, high = length - 1;
    while (!changed[low]) ++low;
    while (!changed[high]) --high;
    const int first = std::max(0, low - margin) / alignment * alignment;
    const int last = std::min(length, high + 1 + margin);
    const int size = (last - first + grain - 1) / grain * grain;
    if (size >= length) return {0, length};
    if (first + size > length) {
        const int moved = (length - size) / alignment * alignment;
        return {moved, length - moved};
    }
    return {first, size};
}

// The difference below which pixels count as unchanged: it follows the noise in the quiet part.
float find_tolerance(const std::vector<float>& difference, Size size) {
    std::vector<float> sample;
    for (int y = 0; y < size.height; y += sample_step)
        for (int x = 0; x < size.width; x += sample_step)
            sample.push_back(difference[size_t(y) * size.width + x]);
    const auto quiet = sample.begin() + int(quiet_share * double(sample.size() - 1));
    std::nth_element(sample.begin(), quiet, sample.end());
    return std::min(least_change + noise_factor * *quiet, most_tolerance);
}

// Bilinear interpolation along one axis, for a window at `first` in the enlarged map; zero outside of it.
struct Tap {
    int low, high;
    float low_share, high_share;
};

std::vector<Tap> plan_window(int size, int enlarged, int first, int side) {
    std::vector<Tap> taps(side);
    const double ratio = double(size) / enlarged;
    for (int i = 0; i < side; ++i) {
        const int at = first + i;
        const double position = std::clamp((at + 0.5) * ratio - 0.5, 0.0, double(size - 1));
        const int low = int(position);
        const bool inside = at >= 0 && at < enlarged;
        taps[i] = {low, std::min(low + 1, size - 1), inside ? float(1 - (position - low)) : 0.f,
                   inside ? float(position - low) : 0.f};
    }
    return taps;
}

// Cuts the refiner's windows.
class Cutter {
public:
    Cutter(const Picture& source, const Picture& plate, const Coarse& coarse, int side)
        : source_(source),
          plate_(plate),
          coarse_(coarse),
          half_side(side / 2 + 2 * half_halo),
          full_side(side + 2 * full_halo) {}

    // `half`: hidden, alpha, residual, source, plate at half resolution; `full`: source, plate.
    void cut(int top, int left, float* half, float* full) const {
        const Size maps = coarse_.alpha.size;
        const Size size = source_.size;
        const auto rows = plan_window(maps.height, size.height / 2, top / 2 - half_halo, half_side);
        const auto columns = plan_window(maps.width, size.width / 2, left / 2 - half_halo, half_side);
        for (const Maps* some : {&coarse_.hidden, &coarse_.alpha, &coarse_.residual})
            for (int channel = 0; channel < some->channels; ++channel) {
                fill(some->plane(channel), maps.width, rows, columns, half);
                half += half_side * half_side;
            }
        for (const Picture* picture : {&source_, &plate_}) {
            cut_picture(*picture, top, left, half, full);
            half += 3 * half_side * half_side;
            full += 3 * full_side * full_side;
        }
    }

private:
    const Picture &source_, &plate_;
    const Coarse& coarse_;

public:
    const int half_side, full_side;

private:
    static void fill(const float* plane, int width, const std::vector<Tap>& rows,
                     const std::vector<Tap>& columns, float* into) {
        for (const Tap& row : rows) {
            const float *above = plane + size_t(row.low) * width, *below = plane + size_t(row.high) * width;
            for (const Tap& column : columns) {
                const float upper =
                    above[column.low] * column.low_share + above[column.high] * column.high_share;
                const float lower =
                    below[column.low] * column.low_share + below[column.high] * column.high_share;
                *into++ = upper * row.low_share + lower * row.high_share;
            }
        }
    }

    // The full window is the middle of a square whose averages of 2 x 2 are the half one; zero outside.
    void cut_picture(const Picture& picture, int top, int left, float* half, float* full) const {
        const int side = 2 * half_side, halo = 2 * half_halo, inner = halo - full_halo;
        const float scale = float(1.0 / picture.top);
        std::vector<float> square(size_t(side) * side);
        for (int channel = 0; channel < 3; ++channel) {
            std::fill(square.begin(), square.end(), 0.f);
            const int first = std::max(0, left - halo),
                      last = std::min(picture.size.width, left - halo + side);
            for (int i = 0; i < side; ++i) {
                const int y = top - halo + i;
                if (y < 0 || y >= picture.size.height) continue;
                const uint16_t* row = picture.row(y) + channel;
                float* into = square.data() + size_t(i) * side - (left - halo);
                for (int x = first; x < last; ++x) into[x] = float(row[3 * x]) * scale;
            }
            for (int i = 0; i < half_side; ++i)
                for (int j = 0; j < half_side; ++j) {
                    const float* at = square.data() + size_t(2 * i) * side + 2 * j;
                    *half++ = (at[0] + at[1] + at[side] + at[side + 1]) * 0.25f;
                }
            for (int i = 0; i < full_side; ++i) {
                const float* at = square.data() + size_t(inner + i) * side + inner;
                full = std::copy(at, at + full_side, full);
            }
        }
    }
};

// Writes the selected cells of one refined tile (4, side, side) into the result.
void paste(const float* refined, int side, int top, int left, const Cells& cells, const Picture& source,
           Refined& result) {
    const Size size = source.size;
    const float scale = float(1.0 / source.top);
    const int area = side * side;
    for (int y = 0; y < std::min(side, size.height - top); ++y)
        for (int x = 0; x < std::min(side, size.width - left); ++x) {
            if (!cells.at((top + y) / cell_side, (left + x) / cell_side)) continue;
            const float* from = refined + y * side + x;
            const size_t at = size_t(top + y) * size.width + left + x;
            result.alpha.values[at] = std::clamp(from[0], 0.f, 1.f);
            for (int c = 0; c < 3; ++c)
                result.foreground.plane(c)[at] =
                    std::clamp(float(source.pixels[3 * at + c]) * scale + from[(c + 1) * area], 0.f, 1.f);
        }
}

// Runs a task for each number below `count`, in several threads; throws what one of them threw.
void share_work(size_t count, int threads, const std::function<void(size_t)>& task) {
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex guard;
    auto work = [&] {
        try {
            for (size_t i = next++; i < count; i = next++) task(i);
        } catch (...) {
            std::lock_guard<std::mutex> lock(guard);
            failure = std::current_exception();
            next = count;
        }
    };
    std::vector<std::thread> others;
    for (size_t i = 1; i < std::min(count, size_t(std::max(1, threads))); ++i) others.emplace_back(work);
    work();
    for (auto& other : others) other.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

Region find_change(const Maps& source, const Maps& plate) {
    const Size size = source.size;
    std::vector<float> difference(source.area());
    for (int c = 0; c < 3; ++c)
        for (size_t i = 0; i < difference.size(); ++i)
            difference[i] = std::max(difference[i], std::abs(source.plane(c)[i] - plate.plane(c)[i]));
    const float limit = find_tolerance(difference, size);

    // Mean over 5 x 5 pixels, the edge repeated: sums of columns, then of rows.
    std::vector<bool> rows(size.height), columns(size.width);
    std::vector<double> sums(size.width);
    for (int y = 0; y < size.height; ++y) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (int dy = -spread / 2; dy <= spread / 2; ++dy) {
            const float* row =
                difference.data() + size_t(std::clamp(y + dy, 0, size.height - 1)) * size.width;
            for (int x = 0; x < size.width; ++x) sums[x] += row[x];
        }
        for (int x = 0; x < size.width; ++x) {
            double sum = 0;
            for (int dx = -spread / 2; dx <= spread / 2; ++dx)
                sum += sums[std::clamp(x + dx, 0, size.width - 1)];
            if (float(sum / (spread * spread)) > limit) rows[y] = columns[x] = true;
        }
    }
    if (std::find(rows.begin(), rows.end(), true) == rows.end()) return {};
    const Span down = widen(rows), across = widen(columns);
    if (double(down.length) * across.length > worthwhile * size.height * size.width)
        return {0, 0, size.height, size.width};
    return {down.first, across.first, down.length, across.length};
}

Maps cut_region(const Maps& maps, const Region& region) {
    Maps result(maps.channels, {region.height, region.width});
    for (int c = 0; c < maps.channels; ++c)
        for (int y = 0; y < region.height; ++y) {
            const float* row = maps.plane(c) + size_t(region.top + y) * maps.size.width + region.left;
            std::copy(row, row + region.width, result.plane(c) + size_t(y) * region.width);
        }
    return result;
}

Maps lay_region(const Maps& maps, const Region& region, Size size) {
    Maps result(maps.channels, size);
    for (int c = 0; c < maps.channels; ++c)
        for (int y = 0; y < region.height; ++y) {
            const float* row = maps.plane(c) + size_t(y) * region.width;
            std::copy(row, row + region.width,
                      result.plane(c) + size_t(region.top + y) * size.width + region.left);
        }
    return result;
}

Cells select_cells(const Maps& error, Size size, const Refine& refine) {
    Cells cells{{size.height / cell_side, size.width / cell_side}, {}};
    const size_t count = size_t(cells.size.height) * cells.size.width;
    cells.selected.assign(count, refine.mode == Refine::everywhere);
    if (refine.mode != Refine::by_threshold) return cells;
    std::vector<float> per_cell(count);
    interpolate(error.plane(0), error.size, per_cell.data(), cells.size);
    for (size_t i = 0; i < count; ++i) cells.selected[i] = per_cell[i] > float(refine.threshold);
    return cells;
}

Tiles plan_tiles(const Cells& cells) {
    Cells occupied = cells;
    int step = 1;
    int64_t least = -1;
    Tiles best;
    for (int side : {8, 16, 32, 64}) {
        for (; step * cell_side < side; step *= 2) {
            const Size size = occupied.size;
            Cells halved{{(size.height + 1) / 2, (size.width + 1) / 2}, {}};
            halved.selected.assign(size_t(halved.size.height) * halved.size.width, 0);
            for (int y = 0; y < size.height; ++y)
                for (int x = 0; x < size.width; ++x)
                    if (occupied.at(y, x)) halved.selected[size_t(y / 2) * halved.size.width + x / 2] = 1;
            occupied = halved;
        }
        const int64_t count = std::count(occupied.selected.begin(), occupied.selected.end(), 1);
        const int64_t cost = count * (side + cost_margin) * (side + cost_margin);
        if (least >= 0 && cost >= least) continue;
        least = cost;
        best = {side, {}, {}};
        for (int y = 0; y < occupied.size.height; ++y)
            for (int x = 0; x < occupied.size.width; ++x)
                if (occupied.at(y, x)) {
                    best.top.push_back(y * side);
                    best.left.push_back(x * side);
                }
    }
    return best;
}

Refined refine(const Picture& source, const Picture& plate, const Coarse& coarse, const Cells& cells,
               const Networks& networks, int threads) {
    const Size size = source.size;
    Refined result{{1, size}, {3, size}};
    interpolate(coarse.alpha.plane(0), coarse.alpha.size, result.alpha.plane(0), size);
    const float scale = float(1.0 / source.top);
    for (int c = 0; c < 3; ++c) {
        float* plane = result.foreground.plane(c);
        interpolate(coarse.residual.plane(c), coarse.residual.size, plane, size);
        for (size_t i = 0; i < result.foreground.area(); ++i)
            plane[i] = std::clamp(float(source.pixels[3 * i + c]) * scale + plane[i], 0.f, 1.f);
    }

    const Tiles tiles = plan_tiles(cells);
    if (tiles.count() == 0) return result;
    const Cutter cutter(source, plate, coarse, tiles.side);
    const size_t share = (tiles.count() + threads - 1) / std::max(1, threads);
    const size_t step =
        std::max<size_t>(1, std::min<size_t>(chunk_pixels / (tiles.side * tiles.side), share));
    const size_t half_values = size_t(coarse.hidden.channels + 10) * cutter.half_side * cutter.half_side;
    const size_t full_values = size_t(6) * cutter.full_side * cutter.full_side;
    // Every cell belongs to one tile, so no two threads write the same pixels.
    share_work((tiles.count() + step - 1) / step, threads, [&](size_t chunk) {
        const size_t first = chunk * step, count = std::min(step, tiles.count() - first);
        std::vector<float> half(count * half_values), full(count * full_values);
        for (size_t i = 0; i < count; ++i)
            cutter.cut(tiles.top[first + i], tiles.left[first + i], half.data() + i * half_values,
                       full.data() + i * full_values);
        const auto refined = networks.refine(int(count), half, cutter.half_side, full, cutter.full_side);
        for (size_t i = 0; i < count; ++i)
            paste(refined.data() + i * 4 * tiles.side * tiles.side, tiles.side, tiles.top[first + i],
                  tiles.left[first + i], cells, source, result);
    });
    return result;
}

}  // namespace cleanplate
