// The keyer: a picture and its clean plate in, alpha and foreground out.

#pragma once

#include <filesystem>

#include "networks.h"
#include "picture.h"
#include "router.h"

namespace cleanplate {

struct Quality {
    enum Scale { automatic, fine, fixed } mode = automatic;
    double scale = 0.25;  // coarse input over picture for `fixed`, (0, 1]
    Refine refine;
};

// Sizes for pictures of one size.
struct Layout {
    Size padded;  // multiples of 4, or more where that makes the ratio to the coarse input whole
    Size coarse;
};

Layout lay_out(Size size, const Quality& quality);

struct Matte {
    Maps alpha;       // 1 channel, [0, 1]
    Maps foreground;  // 3 channels, straight colour, [0, 1]
    Maps error;       // 1 channel: the expected error of alpha
    Cells cells;      // the refined ones; may reach beyond the picture by less than a cell
};

class Keyer {
public:
    // `folder` holds lite.coarse.onnx and lite.refiner.onnx. `threads`: 0 for one per core.
    explicit Keyer(const std::filesystem::path& folder, int threads = 0);

    // Source and plate have the same size and range and the same camera position; they are not aligned.
    // Throws std::runtime_error. May be called from several threads at once.
    Matte key(const Picture& source, const Picture& plate, const Quality& quality) const;

private:
    Networks networks_;
    int threads_;
};

}  // namespace cleanplate
