// The two networks of the model "lite", run by ONNX Runtime's C interface.

#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "picture.h"

namespace cleanplate {

// Result of the coarse network, at half the size of its input.
struct Coarse {
    Maps alpha;     // 1 channel, [0, 1]
    Maps residual;  // 3 channels: foreground minus source, in units of the full range
    Maps error;     // 1 channel: the expected error of alpha, [0, 1]
    Maps hidden;    // features for the refiner
};

// Loads `lite.coarse.onnx` and `lite.refiner.onnx`; may be used from several threads at once.
class Networks {
public:
    static constexpr int coarse_stride = 2;  // input over output of the coarse network
    static constexpr int hidden_channels = 20;
    static constexpr int size_multiple = 16;      // both sides of the coarse input
    static constexpr int target_long_side = 512;  // of the coarse input for a picture of 1280

    // `threads` of the coarse network; 0: one per core. Throws std::runtime_error.
    Networks(const std::filesystem::path& folder, int threads);
    ~Networks();

    // `source` has 3 channels, `plate` 4: the last is 1 where the plate is known.
    Coarse coarse(const Maps& source, const Maps& plate) const;

    // Refines `count` windows: (count, 30, half_side, half_side) and (count, 6, full_side, full_side) to
    // (count, 4, side, side), of which the first channel is alpha.
    std::vector<float> refine(int count, const std::vector<float>& half, int half_side,
                              const std::vector<float>& full, int full_side) const;

private:
    struct Sessions;
    std::unique_ptr<Sessions> sessions_;
};

}  // namespace cleanplate
