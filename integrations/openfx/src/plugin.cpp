// Entry points of the plug-in, and the short actions.

#include <cstring>
#include <new>

#include "description.h"
#include "render.h"
#include "suites.h"

#if defined(_WIN32)
#define EXPORTED extern "C" __declspec(dllexport)
#else
#define EXPORTED extern "C" __attribute__((visibility("default")))
#endif

namespace cleanplate_ofx {

namespace {

OfxRectD find_definition(OfxImageEffectHandle effect, const char* name, OfxTime time) {
    OfxImageClipHandle clip = nullptr;
    check(suites.effect->clipGetHandle(effect, name, &clip, nullptr));
    OfxRectD region{};
    check(suites.effect->clipGetRegionOfDefinition(clip, time, &region));
    return region;
}

bool is_connected(OfxImageEffectHandle effect, const char* name) {
    OfxImageClipHandle clip = nullptr;
    OfxPropertySetHandle properties = nullptr;
    check(suites.effect->clipGetHandle(effect, name, &clip, &properties));
    int connected = 0;
    check(suites.property->propGetInt(properties, kOfxImageClipPropConnected, 0, &connected));
    return connected != 0;
}

void set_rectangle(OfxPropertySetHandle properties, const char* name, const OfxRectD& region) {
    check(suites.property->propSetDoubleN(properties, name, 4, &region.x1));
}

// The result covers the source, whatever the plate covers.
OfxStatus give_region_of_definition(OfxImageEffectHandle effect, OfxPropertySetHandle in,
                                    OfxPropertySetHandle out) {
    const OfxTime time = get_double(in, kOfxPropTime);
    set_rectangle(out, kOfxImageEffectPropRegionOfDefinition,
                  find_definition(effect, kOfxImageEffectSimpleSourceClipName, time));
    return kOfxStatOK;
}

// Any part of the result needs the whole of both inputs.
OfxStatus give_regions_of_interest(OfxImageEffectHandle effect, OfxPropertySetHandle in,
                                   OfxPropertySetHandle out) {
    const OfxTime time = get_double(in, kOfxPropTime);
    for (const char* name : {kOfxImageEffectSimpleSourceClipName, plate_clip})
        if (is_connected(effect, name))
            set_rectangle(out, (std::string("OfxImageClipPropRoI_") + name).c_str(),
                          find_definition(effect, name, time));
    return kOfxStatOK;
}

OfxStatus give_clip_preferences(OfxImageEffectHandle effect, OfxPropertySetHandle out) {
    const Settings settings = read_settings(effect, 0);
    const bool is_result = settings.view == View::result;
    set_text(out, kOfxImageEffectPropPreMultiplication,
             !is_result               ? kOfxImageOpaque
             : settings.premultiplied ? kOfxImagePreMultiplied
                                      : kOfxImageUnPreMultiplied);
    set_text(out, "OfxImageClipPropComponents_Output", kOfxImageComponentRGBA);
    return kOfxStatOK;
}

OfxStatus act(const char* action, const void* handle, OfxPropertySetHandle in, OfxPropertySetHandle out) {
    const auto effect = static_cast<OfxImageEffectHandle>(const_cast<void*>(handle));
    auto is = [&](const char* name) { return std::strcmp(action, name) == 0; };
    if (is(kOfxActionLoad)) return suites.host && suites.fetch() ? kOfxStatOK : kOfxStatErrMissingHostFeature;
    if (is(kOfxActionUnload)) {
        close_keyer();
        return kOfxStatOK;
    }
    if (is(kOfxActionDescribe)) return describe(effect);
    if (is(kOfxImageEffectActionDescribeInContext)) return describe_in_context(effect, in);
    if (is(kOfxActionCreateInstance) || is(kOfxActionDestroyInstance))
        return kOfxStatOK;  // no state of its own
    if (is(kOfxImageEffectActionGetRegionOfDefinition)) return give_region_of_definition(effect, in, out);
    if (is(kOfxImageEffectActionGetRegionsOfInterest)) return give_regions_of_interest(effect, in, out);
    if (is(kOfxImageEffectActionGetClipPreferences)) return give_clip_preferences(effect, out);
    if (is(kOfxImageEffectActionRender)) return render(effect, in);
    return kOfxStatReplyDefault;
}

// No exception may reach the host.
OfxStatus main_entry(const char* action, const void* handle, OfxPropertySetHandle in,
                     OfxPropertySetHandle out) {
    try {
        return act(action, handle, in, out);
    } catch (const OfxFailure& failure) {
        return failure.status;
    } catch (const std::bad_alloc&) {
        return kOfxStatErrMemory;
    } catch (...) {
        return kOfxStatErrFatal;
    }
}

void set_host(OfxHost* host) { suites.host = host; }

}  // namespace

}  // namespace cleanplate_ofx

EXPORTED int OfxGetNumberOfPlugins(void) { return 1; }

EXPORTED OfxPlugin* OfxGetPlugin(int number) {
    static OfxPlugin plugin = {
        kOfxImageEffectPluginApi, kOfxImageEffectPluginApiVersion, "com.github.cleanplate.Keyer", 1, 0,
        cleanplate_ofx::set_host, cleanplate_ofx::main_entry};
    return number == 0 ? &plugin : nullptr;
}
