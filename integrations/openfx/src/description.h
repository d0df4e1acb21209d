// Clips and parameters of the node.

#pragma once

#include "keyer.h"
#include "suites.h"

namespace cleanplate_ofx {

constexpr const char* plate_clip = "Plate";

enum class View { result, alpha, status };
enum class Light { code_values, scene_linear };

// Values of the parameters at one time.
struct Settings {
    View view = View::result;
    cleanplate::Quality quality;
    double despill = 0;
    double choke_pixels = 0;  // of the full-size picture
    Light light = Light::code_values;
    bool premultiplied = true;
};

OfxStatus describe(OfxImageEffectHandle effect);
OfxStatus describe_in_context(OfxImageEffectHandle effect, OfxPropertySetHandle arguments);

Settings read_settings(OfxImageEffectHandle effect, OfxTime time);

}  // namespace cleanplate_ofx
