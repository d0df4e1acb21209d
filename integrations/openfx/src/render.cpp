#include "render.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>

#include "clip_image.h"
#include "description.h"
#include "finish.h"
#include "keyer.h"

namespace cleanplate_ofx {

using cleanplate::Keyer;
using cleanplate::Maps;
using cleanplate::Matte;
using cleanplate::Picture;

namespace {

// From this alpha on a pixel keeps the source's own light, highlights above 1 too; as Matte.light in Python.
constexpr float solid = 0.999f;

std::mutex keyer_guard;
std::shared_ptr<Keyer> shared_keyer;

// Loads the networks from the bundle's folder Resources, at the first frame.
std::shared_ptr<Keyer> open_keyer(OfxImageEffectHandle effect) {
    std::lock_guard<std::mutex> lock(keyer_guard);
    if (!shared_keyer) {
        OfxPropertySetHandle properties = nullptr;
        check(suites.effect->getPropertySet(effect, &properties));
        const std::filesystem::path bundle =
            std::filesystem::u8path(get_text(properties, kOfxPluginPropFilePath));
        shared_keyer = std::make_shared<Keyer>(bundle / "Contents" / "Resources");
    }
    return shared_keyer;
}

// The pictures of one frame with its matte, upright.
struct Keyed {
    Picture source;
    Matte matte;
    Maps colour;  // straight, after despill
    Maps alpha;   // after choke
};

// Grey source, the refined cells in green, the expected error in red.
void show_status(const Keyed& keyed, int row, int column, float* colour) {
    const uint16_t* code = keyed.source.row(row) + 3 * column;
    const float grey = 0.6f * float(code[0] + 2 * code[1] + code[2]) / float(4 * keyed.source.top);
    const float error = keyed.matte.error.values[size_t(row) * keyed.source.size.width + column];
    const bool is_refined = keyed.matte.cells.at(row / cleanplate::cell_side, column / cleanplate::cell_side);
    colour[0] = std::min(1.f, grey + error);
    colour[1] = std::min(1.f, grey + (is_refined ? 0.3f : 0.f));
    colour[2] = grey;
}

class Writer {
public:
    Writer(const Keyed& keyed, const ClipImage& source, const ClipImage& output, const Settings& settings)
        : keyed_(keyed),
          source_(source),
          output_(output),
          settings_(settings),
          is_linear_(settings.light == Light::scene_linear) {}

    // Writes a pixel that lies in the source; y counts from the bottom.
    void write(int x, int y) const {
        const int row = source_.bounds().y2 - 1 - y, column = x - source_.bounds().x1;
        const size_t at = size_t(row) * keyed_.source.size.width + column;
        const float alpha = keyed_.alpha.values[at];
        float colour[3] = {alpha, alpha, alpha};
        if (settings_.view == View::alpha) return output_.write(x, y, colour, 1);
        if (settings_.view == View::status) {
            show_status(keyed_, row, column, colour);
            return output_.write(x, y, colour, 1);
        }
        for (int c = 0; c < 3; ++c) colour[c] = keyed_.colour.plane(c)[at];
        if (is_linear_) {
            for (float& value : colour) value = to_light(value);
            if (source_.depth() == Depth::float_ && keyed_.matte.alpha.values[at] >= solid)
                source_.read_light(x, y, colour);
        }
        if (settings_.premultiplied)
            for (float& value : colour) value *= alpha;
        output_.write(x, y, colour, alpha);
    }

private:
    const Keyed& keyed_;
    const ClipImage &source_, &output_;
    const Settings& settings_;
    const bool is_linear_;
};

// Whole frames are keyed; only the pixels of the render window are written.
OfxStatus render_frame(OfxImageEffectHandle effect, OfxPropertySetHandle arguments) {
    const OfxTime time = get_double(arguments, kOfxPropTime);
    OfxRectI window{};
    check(suites.property->propGetIntN(arguments, kOfxImageEffectPropRenderWindow, 4, &window.x1));
    const Settings settings = read_settings(effect, time);
    const auto output = ClipImage::fetch(effect, kOfxImageEffectOutputClipName, time);
    const auto source = ClipImage::fetch(effect, kOfxImageEffectSimpleSourceClipName, time);
    const auto plate = ClipImage::fetch(effect, plate_clip, time);
    if (!output) return kOfxStatFailed;
    if (!source) throw std::runtime_error("Connect the shot to the input Source.");
    if (!plate) throw std::runtime_error("Connect a picture of the empty set to the input Clean plate.");

    const bool is_linear = settings.light == Light::scene_linear;
    if (is_linear && (source->depth() != Depth::float_ || plate->depth() != Depth::float_))
        throw std::runtime_error(
            "Scene-linear light needs pixels of floats; choose code values for this clip.");
    const int top = source->depth() == Depth::byte_ && plate->depth() == Depth::byte_ ? 255 : 65535;
    Keyed keyed;
    keyed.source = source->read(top, is_linear);
    const Picture plate_picture = plate->read(top, is_linear);
    keyed.matte = open_keyer(effect)->key(keyed.source, plate_picture, settings.quality);
    const double scale = get_double(arguments, kOfxImageEffectPropRenderScale);
    keyed.alpha = choke(keyed.matte.alpha, settings.choke_pixels * scale);
    const bool spreads = settings.despill > 0 || settings.choke_pixels < 0;
    keyed.colour = spreads
                       ? despill(keyed.matte.foreground, keyed.matte.alpha, plate_picture, settings.despill)
                       : keyed.matte.foreground;
    if (suites.effect->abort(effect)) return kOfxStatOK;

    const Writer writer(keyed, *source, *output, settings);
    const OfxRectI &from = source->bounds(), &into = output->bounds();
    const float black[3] = {0, 0, 0};
    for (int y = std::max(window.y1, into.y1); y < std::min(window.y2, into.y2); ++y)
        for (int x = std::max(window.x1, into.x1); x < std::min(window.x2, into.x2); ++x) {
            const bool inside = x >= from.x1 && x < from.x2 && y >= from.y1 && y < from.y2;
            if (inside) writer.write(x, y);
            else output->write(x, y, black, 0);
        }
    return kOfxStatOK;
}

}  // namespace

OfxStatus render(OfxImageEffectHandle effect, OfxPropertySetHandle arguments) {
    try {
        const OfxStatus status = render_frame(effect, arguments);
        show_error(effect, "");
        return status;
    } catch (const std::bad_alloc&) {
        return kOfxStatErrMemory;
    } catch (const std::exception& error) {
        show_error(effect, error.what());
        return kOfxStatFailed;
    }
}

void close_keyer() {
    std::lock_guard<std::mutex> lock(keyer_guard);
    shared_keyer.reset();
}

}  // namespace cleanplate_ofx
