#include "keyer.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>

#include "resize.h"

namespace cleanplate {

namespace {

// The constants of src/cleanplate/router/layout.py, models/config.py and keyer/keyer.py.
constexpr double padding_limit = 1.07, reference_long_side = 1280, least_growth = 7.0 / 8, finer = 1.5;
constexpr int minimum_side = 32;

double choose_scale(Size size, const Quality& quality) {
    if (quality.mode == Quality::fixed) return quality.scale;
    const double longest = std::max(size.height, size.width);
    const double growth = std::max(std::sqrt(longest / reference_long_side), least_growth);
    const double target = Networks::target_long_side * growth * (quality.mode == Quality::fine ? finer : 1.0);
    return 1 / std::max(1.0, std::nearbyint(2 * longest / target) / 2);
}

int round_up(int side, int multiple) { return (side + multiple - 1) / multiple * multiple; }

// Multiples of 4; if it is cheap, more, until picture and coarse input have a whole ratio: it is faster.
Size choose_padding(Size size, double scale) {
    const Size plain{round_up(size.height, cell_side), round_up(size.width, cell_side)};
    const double ratio = std::nearbyint(1 / scale);
    if (std::abs(ratio * scale - 1) > 1e-9) return plain;
    const int multiple = std::lcm(cell_side, int(ratio) * Networks::size_multiple);
    const Size whole{round_up(size.height, multiple), round_up(size.width, multiple)};
    const double growth = double(whole.height) * whole.width / (double(size.height) * size.width);
    return growth <= padding_limit ? whole : plain;
}

int choose_coarse_side(int side, double scale) {
    const int multiple = Networks::size_multiple;
    const int wanted = int(std::nearbyint(side * scale / multiple));
    return std::max(1, std::min(wanted, side / multiple)) * multiple;
}

Maps crop(const Maps& maps, Size size) {
    if (maps.size == size) return maps;
    return cut_region(maps, {0, 0, size.height, size.width});
}

// Runs the coarse network on the changed region only; the refiner needs its inputs everywhere if it runs
// everywhere.
Coarse run_coarse(const Networks& networks, const Maps& source, const Maps& plate, const Refine& refine) {
    const Region whole{0, 0, source.size.height, source.size.width};
    const Region region = refine.mode == Refine::everywhere ? whole : find_change(source, plate);
    const Size maps{source.size.height / Networks::coarse_stride,
                    source.size.width / Networks::coarse_stride};
    if (region.is_empty()) return {{1, maps}, {3, maps}, {1, maps}, {Networks::hidden_channels, maps}};
    if (Size{region.height, region.width} == source.size) return networks.coarse(source, plate);
    const Coarse part = networks.coarse(cut_region(source, region), cut_region(plate, region));
    const int stride = Networks::coarse_stride;
    const Region small{region.top / stride, region.left / stride, region.height / stride,
                       region.width / stride};
    return {lay_region(part.alpha, small, maps), lay_region(part.residual, small, maps),
            lay_region(part.error, small, maps), lay_region(part.hidden, small, maps)};
}

std::string describe(Size size) { return std::to_string(size.width) + "x" + std::to_string(size.height); }

}  // namespace

Layout lay_out(Size size, const Quality& quality) {
    const double scale = choose_scale(size, quality);
    const Size padded = choose_padding(size, scale);
    return {padded, {choose_coarse_side(padded.height, scale), choose_coarse_side(padded.width, scale)}};
}

Keyer::Keyer(const std::filesystem::path& folder, int threads)
    : networks_(folder, threads),
      threads_(threads > 0 ? threads : std::max(1, int(std::thread::hardware_concurrency()))) {}

Matte Keyer::key(const Picture& source, const Picture& plate, const Quality& quality) const {
    if (source.size != plate.size)
        throw std::runtime_error("The plate is " + describe(plate.size) + ", the source " +
                                 describe(source.size) + ".");
    if (source.top != plate.top) throw std::runtime_error("Source and plate have different bit depths.");
    if (std::min(source.size.height, source.size.width) < minimum_side)
        throw std::runtime_error("The source is " + describe(source.size) + "; each side needs 32 pixels.");

    const Layout layout = lay_out(source.size, quality);
    const Picture padded = pad(source, layout.padded), padded_plate = pad(plate, layout.padded);
    const Maps small = shrink(padded, layout.coarse);
    Maps small_plate(4, layout.coarse);
    const Maps colours = shrink(padded_plate, layout.coarse);
    std::fill(std::copy(colours.values.begin(), colours.values.end(), small_plate.values.begin()),
              small_plate.values.end(), 1.f);

    const Coarse coarse = run_coarse(networks_, small, small_plate, quality.refine);
    Cells cells = select_cells(coarse.error, layout.padded, quality.refine);
    const Refined refined = refine(padded, padded_plate, coarse, cells, networks_, threads_);
    Maps error(1, layout.padded);
    interpolate(coarse.error.plane(0), coarse.error.size, error.plane(0), layout.padded);
    return {crop(refined.alpha, source.size), crop(refined.foreground, source.size), crop(error, source.size),
            std::move(cells)};
}

}  // namespace cleanplate
