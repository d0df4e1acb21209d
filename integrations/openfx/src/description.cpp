#include "description.h"

#include <iterator>

namespace cleanplate_ofx {

namespace {

constexpr const char *view_name = "view", *scale_name = "scale", *refine_name = "refineThreshold",
                     *despill_name = "despill", *choke_name = "choke", *light_name = "light",
                     *premultiplied_name = "premultiplied";

// Choices of the scale; the first two follow the picture's size.
constexpr const char* scale_labels[] = {"automatic", "fine", "1/8", "1/4", "1/2", "1"};
constexpr double scales[] = {0, 0, 0.125, 0.25, 0.5, 1};

void describe_clip(OfxImageEffectHandle effect, const char* name, const char* label, bool takes_rgb,
                   bool is_optional) {
    OfxPropertySetHandle clip = nullptr;
    check(suites.effect->clipDefine(effect, name, &clip));
    set_text(clip, kOfxPropLabel, label);
    set_text(clip, kOfxImageEffectPropSupportedComponents, kOfxImageComponentRGBA, 0);
    if (takes_rgb) set_text(clip, kOfxImageEffectPropSupportedComponents, kOfxImageComponentRGB, 1);
    set_integer(clip, kOfxImageEffectPropTemporalClipAccess, 0);
    set_integer(clip, kOfxImageEffectPropSupportsTiles, 0);
    set_integer(clip, kOfxImageClipPropOptional, is_optional);
}

OfxPropertySetHandle define(OfxParamSetHandle parameters, const char* type, const char* name,
                            const char* label, const char* hint) {
    OfxPropertySetHandle properties = nullptr;
    check(suites.parameter->paramDefine(parameters, type, name, &properties));
    set_text(properties, kOfxPropLabel, label);
    set_text(properties, kOfxParamPropHint, hint);
    set_text(properties, kOfxParamPropScriptName, name);
    return properties;
}

template <size_t count>
void define_choice(OfxParamSetHandle parameters, const char* name, const char* label, const char* hint,
                   const char* const (&choices)[count]) {
    OfxPropertySetHandle properties = define(parameters, kOfxParamTypeChoice, name, label, hint);
    for (size_t i = 0; i < count; ++i) set_text(properties, kOfxParamPropChoiceOption, choices[i], int(i));
    set_integer(properties, kOfxParamPropDefault, 0);
    set_integer(properties, kOfxParamPropAnimates, 0);
}

void define_double(OfxParamSetHandle parameters, const char* name, const char* label, const char* hint,
                   double value, double least, double most) {
    OfxPropertySetHandle properties = define(parameters, kOfxParamTypeDouble, name, label, hint);
    set_double(properties, kOfxParamPropDefault, value);
    set_double(properties, kOfxParamPropMin, least);
    set_double(properties, kOfxParamPropMax, most);
    set_double(properties, kOfxParamPropDisplayMin, least);
    set_double(properties, kOfxParamPropDisplayMax, most);
    set_integer(properties, kOfxParamPropDigits, 2);
}

OfxParamHandle find(OfxImageEffectHandle effect, const char* name) {
    OfxParamSetHandle parameters = nullptr;
    check(suites.effect->getParamSet(effect, &parameters));
    OfxParamHandle parameter = nullptr;
    check(suites.parameter->paramGetHandle(parameters, name, &parameter, nullptr));
    return parameter;
}

int read_integer(OfxImageEffectHandle effect, const char* name, OfxTime time) {
    int value = 0;
    check(suites.parameter->paramGetValueAtTime(find(effect, name), time, &value));
    return value;
}

double read_double(OfxImageEffectHandle effect, const char* name, OfxTime time) {
    double value = 0;
    check(suites.parameter->paramGetValueAtTime(find(effect, name), time, &value));
    return value;
}

}  // namespace

OfxStatus describe(OfxImageEffectHandle effect) {
    OfxPropertySetHandle properties = nullptr;
    check(suites.effect->getPropertySet(effect, &properties));
    set_text(properties, kOfxPropLabel, "Clean Plate Keyer");
    set_text(properties, kOfxImageEffectPluginPropGrouping, "Keyer");
    set_text(
        properties, kOfxPropPluginDescription,
        "Cuts the subject out with a picture of the empty set. Connect the clean plate, of the same size and "
        "from the same camera position, to the second input.");
    set_text(properties, kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextFilter, 0);
    set_text(properties, kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextGeneral, 1);
    set_text(properties, kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthByte, 0);
    set_text(properties, kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthShort, 1);
    set_text(properties, kOfxImageEffectPropSupportedPixelDepths, kOfxBitDepthFloat, 2);
    // The coarse network sees the whole picture.
    set_integer(properties, kOfxImageEffectPropSupportsTiles, 0);
    set_integer(properties, kOfxImageEffectPropSupportsMultiResolution, 1);
    set_integer(properties, kOfxImageEffectPropSupportsMultipleClipDepths, 0);
    set_integer(properties, kOfxImageEffectPropSupportsMultipleClipPARs, 0);
    set_integer(properties, kOfxImageEffectPropTemporalClipAccess, 0);
    set_integer(properties, kOfxImageEffectPluginPropSingleInstance, 0);
    set_integer(properties, kOfxImageEffectPluginPropHostFrameThreading, 0);
    set_integer(properties, kOfxImageEffectPluginPropFieldRenderTwiceAlways, 0);
    // Both decide the kind of the output's alpha.
    set_text(properties, kOfxImageEffectPropClipPreferencesSlaveParam, view_name, 0);
    set_text(properties, kOfxImageEffectPropClipPreferencesSlaveParam, premultiplied_name, 1);
    // Two instances share the networks, which may be called from several threads.
    set_text(properties, kOfxImageEffectPluginRenderThreadSafety, kOfxImageEffectRenderInstanceSafe);
    return kOfxStatOK;
}

OfxStatus describe_in_context(OfxImageEffectHandle effect, OfxPropertySetHandle arguments) {
    describe_clip(effect, kOfxImageEffectSimpleSourceClipName, "Source", true, false);
    // A filter may have one necessary input; the render action asks for the other.
    const bool is_filter = get_text(arguments, kOfxImageEffectPropContext) == kOfxImageEffectContextFilter;
    describe_clip(effect, plate_clip, "Clean plate", true, is_filter);
    describe_clip(effect, kOfxImageEffectOutputClipName, "Output", false, false);

    OfxParamSetHandle parameters = nullptr;
    check(suites.effect->getParamSet(effect, &parameters));
    define_choice(parameters, view_name, "View", "Result, alpha as grey, or the status of the network",
                  {"result", "alpha", "status"});
    define_choice(parameters, scale_name, "Scale",
                  "Scale of the coarse network's input. Fine has 1.5 times the size of automatic",
                  scale_labels);
    define_double(
        parameters, refine_name, "Refine threshold",
        "Expected error above which a part of the picture is refined at full resolution; 0 is slowest", 0.1,
        0, 1);
    define_double(parameters, despill_name, "Despill",
                  "Share of the plate's colour to remove from soft edges", 0, 0, 1);
    define_double(parameters, choke_name, "Choke", "Pixels of the full-size picture by which alpha shrinks",
                  0, -20, 20);
    define_choice(parameters, light_name, "Light", "Meaning of the inputs' numbers",
                  {"code values", "scene-linear"});
    OfxPropertySetHandle premultiplied = define(parameters, kOfxParamTypeBoolean, premultiplied_name,
                                                "Premultiplied", "Multiply the result's colour by its alpha");
    set_integer(premultiplied, kOfxParamPropDefault, 1);
    set_integer(premultiplied, kOfxParamPropAnimates, 0);
    return kOfxStatOK;
}

Settings read_settings(OfxImageEffectHandle effect, OfxTime time) {
    Settings settings;
    settings.view = View(read_integer(effect, view_name, time));
    const int scale = read_integer(effect, scale_name, time);
    if (scale < 0 || scale >= int(std::size(scales))) throw OfxFailure{kOfxStatErrValue};
    settings.quality.mode = scale == 0   ? cleanplate::Quality::automatic
                            : scale == 1 ? cleanplate::Quality::fine
                                         : cleanplate::Quality::fixed;
    settings.quality.scale = scales[scale];
    settings.quality.refine.threshold = read_double(effect, refine_name, time);
    settings.despill = read_double(effect, despill_name, time);
    settings.choke_pixels = read_double(effect, choke_name, time);
    settings.light = Light(read_integer(effect, light_name, time));
    settings.premultiplied = read_integer(effect, premultiplied_name, time) != 0;
    return settings;
}

}  // namespace cleanplate_ofx
