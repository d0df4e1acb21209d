// Padding and resizing, with the numbers of the Python package's NumPy router.

#pragma once

#include "picture.h"

namespace cleanplate {

// Repeats the last row and column up to `padded`.
Picture pad(const Picture& picture, Size padded);

// Shrinks to `size` for the networks: (3, height, width) in [0, 1]. Each pixel is the average of the area
// that it covers, rounded to whole code values once per step, as the networks saw it in training.
Maps shrink(const Picture& picture, Size size);

// Resizes one plane bilinearly: half-pixel centres, the edge repeated, no antialiasing.
void interpolate(const float* plane, Size from, float* into, Size to);

}  // namespace cleanplate
