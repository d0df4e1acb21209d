// The router: the changed region, the cells to refine, tiles with their halo, and the way back.
//
// It follows src/cleanplate/router of the Python package step by step; a test compares the numbers. The
// method of refined cells is that of Lin et al., "Real-Time High-Resolution Background Matting", CVPR 2021,
// section 3.2.

#pragma once

#include <vector>

#include "networks.h"
#include "picture.h"

namespace cleanplate {

// Side of a cell in pixels. Pictures have sides of a multiple of it.
constexpr int cell_side = 4;

// Rule that selects the cells to refine: those whose expected error is above `threshold`, or all of them.
struct Refine {
    enum Mode { by_threshold, everywhere, nowhere } mode = by_threshold;
    double threshold = 0.1;  // the model's own
};

struct Region {
    int top = 0, left = 0, height = 0, width = 0;
    bool is_empty() const { return height == 0; }
};

// Finds the region of the coarse input in which source and plate differ; empty where nothing does.
Region find_change(const Maps& source, const Maps& plate);

// Cuts a region out of maps.
Maps cut_region(const Maps& maps, const Region& region);

// Lays maps of a region into maps of `size` that are zero elsewhere; `region` is counted in their pixels.
Maps lay_region(const Maps& maps, const Region& region, Size size);

// Selected cells of a picture, one value for each: (height / 4, width / 4).
struct Cells {
    Size size;
    std::vector<uint8_t> selected;
    bool at(int row, int column) const { return selected[size_t(row) * size.width + column] != 0; }
};

// `error` has one channel and any size; `size` is that of the picture.
Cells select_cells(const Maps& error, Size size, const Refine& refine);

// Squares of one side that cover the selected cells; a tile may reach beyond the picture.
struct Tiles {
    int side = 0;
    std::vector<int> top, left;
    size_t count() const { return top.size(); }
};

Tiles plan_tiles(const Cells& cells);

// Alpha (1 channel) and straight foreground (3 channels), both in [0, 1].
struct Refined {
    Maps alpha, foreground;
};

// Brings the coarse result to the picture's size and refines the selected cells, in `threads` threads.
Refined refine(const Picture& source, const Picture& plate, const Coarse& coarse, const Cells& cells,
               const Networks& networks, int threads);

}  // namespace cleanplate
