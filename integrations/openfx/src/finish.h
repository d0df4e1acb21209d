// The last step on a matte, after src/cleanplate/compositing/finish.py: choke and despill.

#pragma once

#include "picture.h"

namespace cleanplate_ofx {

// Erodes alpha by a disc; a negative number grows it. Fractions mix two discs; the picture's border is no
// edge.
cleanplate::Maps choke(const cleanplate::Maps& alpha, double pixels);

// Continues the subject's colour outward where alpha is small, and removes `amount` (0 to 1) of the plate's
// colour from soft edges. `foreground` is straight, (3, height, width) in [0, 1].
cleanplate::Maps despill(const cleanplate::Maps& foreground, const cleanplate::Maps& alpha,
                         const cleanplate::Picture& plate, double amount);

}  // namespace cleanplate_ofx
