// The render action.

#pragma once

#include "suites.h"

namespace cleanplate_ofx {

// Renders one frame; a mistake of the user's is shown at the node.
OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle arguments);

// Releases the networks.
void close_keyer();

}  // namespace cleanplate_ofx
