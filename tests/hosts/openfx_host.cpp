// A host without a screen for one frame, over the HostSupport library of the OpenFX project.
//
//   openfx_host CONTEXT DEPTH COMPONENTS LAYOUT SCALE WIDTHxHEIGHT SOURCE PLATE OUTPUT [NAME=VALUE...]
//   [window=X,Y,X,Y]
//
// It does what the specification's render sequence says and reports each answer as a line "NAME VALUE". The
// folder of the bundle is in OFX_PLUGIN_PATH. Pictures are raw, upright, packed, in the pixels of the render
// scale; SOURCE and PLATE have the COMPONENTS (RGB or RGBA), OUTPUT is RGBA; PLATE "-" is not connected.
// LAYOUT is the layout of the images in memory: packed, padded (longer rows) or negative (rows upside down).

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "ofxCore.h"
#include "ofxImageEffect.h"
#include "ofxPixels.h"

#include "ofxhBinary.h"
#include "ofxhPropertySuite.h"
#include "ofxhClip.h"
#include "ofxhParam.h"
#include "ofxhMemory.h"
#include "ofxhImageEffect.h"
#include "ofxhPluginAPICache.h"
#include "ofxhPluginCache.h"
#include "ofxhHost.h"
#include "ofxhImageEffectAPI.h"

namespace effect = OFX::Host::ImageEffect;
namespace param = OFX::Host::Param;

namespace {

// Images do not begin at 0: the corner of the region of definition, in pixels of the render scale.
constexpr int left = 8, bottom = 4;
constexpr double rate = 25;
int living_images = 0;

struct Shot {
    std::string context, depth, components, layout;
    double scale = 1;
    int width = 0, height = 0;
    std::map<std::string, std::string> files;  // of the clips
    std::map<std::string, double> values;      // of the parameters

    int bytes_per_pixel(bool is_output) const {
        const int channels = is_output || components == kOfxImageComponentRGBA ? 4 : 3;
        return channels * (depth == kOfxBitDepthByte ? 1 : depth == kOfxBitDepthShort ? 2 : 4);
    }
    OfxRectI bounds() const { return {left, bottom, left + width, bottom + height}; }
    OfxRectD definition() const {
        return {left / scale, bottom / scale, (left + width) / scale, (bottom + height) / scale};
    }
};

Shot shot;

// Memory of one image; outside of its pixels it holds a pattern, which no plug-in may change.
struct Memory {
    static constexpr char untouched = 0x5a;
    int row = 0, stride = 0;
    bool upside_down = false;
    std::vector<char> bytes;

    explicit Memory(bool is_output)
        : row(shot.width * shot.bytes_per_pixel(is_output)),
          stride(row + (shot.layout == "padded" ? 48 : 0)),
          upside_down(shot.layout == "negative"),
          bytes(size_t(stride) * shot.height, untouched) {}

    // Row counted from the top of the picture.
    char* top_row(int y) { return bytes.data() + size_t(upside_down ? y : shot.height - 1 - y) * stride; }
    void* data() { return top_row(shot.height - 1); }
    int row_bytes() const { return upside_down ? -stride : stride; }

    void read(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        for (int y = 0; y < shot.height; ++y)
            if (!file.read(top_row(y), row)) throw std::runtime_error(path + " is too short");
    }
    void write(const std::string& path) {
        std::ofstream file(path, std::ios::binary);
        for (int y = 0; y < shot.height; ++y) file.write(top_row(y), row);
    }
    bool is_padding_untouched() const {
        for (int y = 0; y < shot.height; ++y)
            for (int x = row; x < stride; ++x)
                if (bytes[size_t(y) * stride + x] != untouched) return false;
        return true;
    }
};

class Image : public effect::Image {
public:
    Image(effect::ClipInstance& clip, std::shared_ptr<Memory> memory)
        : effect::Image(clip, shot.scale, shot.scale, memory->data(), shot.bounds(), shot.bounds(),
                        memory->row_bytes(), kOfxImageFieldNone, clip.getName()),
          memory_(memory) {
        ++living_images;
    }
    ~Image() override { --living_images; }

private:
    std::shared_ptr<Memory> memory_;
};

const std::string no_field = kOfxImageFieldNone, straight = kOfxImageUnPreMultiplied,
                  rgba = kOfxImageComponentRGBA;

class Clip : public effect::ClipInstance {
public:
    Clip(effect::Instance* instance, effect::ClipDescriptor& descriptor)
        : effect::ClipInstance(instance, descriptor), memory(std::make_shared<Memory>(isOutput())) {
        if (!isOutput() && getConnected()) memory->read(shot.files[getName()]);
    }
    std::shared_ptr<Memory> memory;

    const std::string& getUnmappedBitDepth() const override { return shot.depth; }
    const std::string& getUnmappedComponents() const override { return _isOutput ? rgba : shot.components; }
    const std::string& getPremult() const override { return straight; }
    double getAspectRatio() const override { return 1; }
    double getFrameRate() const override { return rate; }
    void getFrameRange(double& first, double& last) const override { first = 0, last = 10; }
    const std::string& getFieldOrder() const override { return no_field; }
    bool getConnected() const override { return _isOutput || shot.files.count(getName()) != 0; }
    double getUnmappedFrameRate() const override { return rate; }
    void getUnmappedFrameRange(double& first, double& last) const override { first = 0, last = 10; }
    bool getContinuousSamples() const override { return false; }
    OfxRectD getRegionOfDefinition(OfxTime) const override { return shot.definition(); }
    effect::Image* getImage(OfxTime, const OfxRectD*) override {
        return getConnected() ? new Image(*this, memory) : nullptr;
    }
};

// A parameter of any type of one number, with its default or the value of the command line.
template <typename Kind, typename Value>
class Number : public Kind {
public:
    Number(param::SetInstance* set, param::Descriptor& descriptor, double standard)
        : Kind(descriptor, set), value_(Value(standard)) {
        const auto given = shot.values.find(descriptor.getName());
        if (given != shot.values.end()) value_ = Value(given->second);
    }
    OfxStatus get(Value& value) override { return value = value_, kOfxStatOK; }
    OfxStatus get(OfxTime, Value& value) override { return value = value_, kOfxStatOK; }
    OfxStatus set(Value value) override { return value_ = value, kOfxStatOK; }
    OfxStatus set(OfxTime, Value value) override { return value_ = value, kOfxStatOK; }

private:
    Value value_;
};

class Double : public Number<param::DoubleInstance, double> {
public:
    using Number::Number;
    OfxStatus derive(OfxTime, double& value) override { return value = 0, kOfxStatOK; }
    OfxStatus integrate(OfxTime, OfxTime, double&) override { return kOfxStatErrMissingHostFeature; }
};

void print_message(const char* type, const char* format, va_list arguments) {
    std::printf("message %s: ", type);
    std::vprintf(format, arguments);
    std::printf("\n");
}

class Instance : public effect::Instance {
public:
    Instance(effect::ImageEffectPlugin* plugin, effect::Descriptor& descriptor, const std::string& context)
        : effect::Instance(plugin, descriptor, context, false) {}

    effect::ClipInstance* newClipInstance(effect::Instance*, effect::ClipDescriptor* descriptor,
                                          int) override {
        return new Clip(this, *descriptor);
    }
    param::Instance* newParam(const std::string& name, param::Descriptor& descriptor) override {
        const std::string type = descriptor.getType();
        const auto& properties = descriptor.getProperties();
        if (type == kOfxParamTypeDouble)
            return new Double(this, descriptor, properties.getDoubleProperty(kOfxParamPropDefault));
        const int standard = properties.getIntProperty(kOfxParamPropDefault);
        if (type == kOfxParamTypeChoice)
            return new Number<param::ChoiceInstance, int>(this, descriptor, standard);
        if (type == kOfxParamTypeBoolean)
            return new Number<param::BooleanInstance, bool>(this, descriptor, standard);
        throw std::runtime_error("parameter " + name + " has the unexpected type " + type);
    }
    const std::string& getDefaultOutputFielding() const override { return no_field; }
    OfxStatus vmessage(const char* type, const char*, const char* format, va_list arguments) override {
        return print_message(type, format, arguments), kOfxStatOK;
    }
    OfxStatus setPersistentMessage(const char* type, const char*, const char* format,
                                   va_list arguments) override {
        return print_message(type, format, arguments), kOfxStatOK;
    }
    OfxStatus clearPersistentMessage() override { return kOfxStatOK; }
    void getProjectSize(double& x, double& y) const override { getProjectExtent(x, y); }
    void getProjectOffset(double& x, double& y) const override { x = y = 0; }
    void getProjectExtent(double& x, double& y) const override {
        x = shot.definition().x2, y = shot.definition().y2;
    }
    double getProjectPixelAspectRatio() const override { return 1; }
    double getEffectDuration() const override { return 10; }
    double getFrameRate() const override { return rate; }
    double getFrameRecursive() const override { return 0; }
    void getRenderScaleRecursive(double& x, double& y) const override { x = y = shot.scale; }
    OfxStatus editBegin(const std::string&) override { return kOfxStatErrMissingHostFeature; }
    OfxStatus editEnd() override { return kOfxStatErrMissingHostFeature; }
    void progressStart(const std::string&, const std::string&) override {}
    void progressEnd() override {}
    bool progressUpdate(double) override { return true; }
    double timeLineGetTime() override { return 0; }
    void timeLineGotoTime(double) override {}
    void timeLineGetBounds(double& first, double& last) override { first = 0, last = 10; }
};

class Host : public effect::Host {
public:
    Host() {
        _properties.setStringProperty(kOfxPropName, "cleanplate.tests");
        _properties.setStringProperty(kOfxPropLabel, "cleanplate tests");
        _properties.setIntProperty(kOfxImageEffectHostPropIsBackground, 1);
        _properties.setIntProperty(kOfxImageEffectPropSupportsMultiResolution, 1);
        _properties.setIntProperty(kOfxImageEffectPropSupportsTiles, 1);
        _properties.setIntProperty(kOfxImageEffectPropTemporalClipAccess, 0);
        _properties.setStringProperty(kOfxImageEffectPropSupportedComponents, kOfxImageComponentRGBA, 0);
        _properties.setStringProperty(kOfxImageEffectPropSupportedComponents, kOfxImageComponentRGB, 1);
        _properties.setStringProperty(kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextFilter, 0);
        _properties.setStringProperty(kOfxImageEffectPropSupportedContexts, kOfxImageEffectContextGeneral, 1);
        _properties.setIntProperty(kOfxParamHostPropMaxParameters, -1);
    }
    effect::Instance* newInstance(void*, effect::ImageEffectPlugin* plugin, effect::Descriptor& descriptor,
                                  const std::string& context) override {
        return new Instance(plugin, descriptor, context);
    }
    effect::Descriptor* makeDescriptor(effect::ImageEffectPlugin* plugin) override {
        return new effect::Descriptor(plugin);
    }
    effect::Descriptor* makeDescriptor(const effect::Descriptor& root,
                                       effect::ImageEffectPlugin* plugin) override {
        return new effect::Descriptor(root, plugin);
    }
    effect::Descriptor* makeDescriptor(const std::string& path, effect::ImageEffectPlugin* plugin) override {
        return new effect::Descriptor(path, plugin);
    }
    OfxStatus vmessage(const char* type, const char*, const char* format, va_list arguments) override {
        return print_message(type, format, arguments), kOfxStatOK;
    }
    OfxStatus setPersistentMessage(const char* type, const char*, const char* format,
                                   va_list arguments) override {
        return print_message(type, format, arguments), kOfxStatOK;
    }
    OfxStatus clearPersistentMessage() override { return kOfxStatOK; }
};

void require(OfxStatus status, const char* action) {
    std::printf("%s %d\n", action, status);
    if (status != kOfxStatOK && status != kOfxStatReplyDefault)
        throw std::runtime_error(std::string(action) + " failed");
}

void print_region(const std::string& name, const OfxRectD& region) {
    std::printf("%s %g,%g,%g,%g\n", name.c_str(), region.x1, region.y1, region.x2, region.y2);
}

void read_arguments(int count, char** arguments, OfxRectI& window) {
    if (count < 10) throw std::runtime_error("too few arguments");
    shot.context = std::string("OfxImageEffectContext") + arguments[1];
    shot.depth = std::string("OfxBitDepth") + arguments[2];
    shot.components = std::string("OfxImageComponent") + arguments[3];
    shot.layout = arguments[4];
    shot.scale = std::atof(arguments[5]);
    std::sscanf(arguments[6], "%dx%d", &shot.width, &shot.height);
    shot.files["Source"] = arguments[7];
    if (std::strcmp(arguments[8], "-") != 0) shot.files["Plate"] = arguments[8];
    window = shot.bounds();
    for (int i = 10; i < count; ++i) {
        const std::string given = arguments[i];
        const size_t equals = given.find('=');
        const std::string name = given.substr(0, equals), value = given.substr(equals + 1);
        if (name == "window")
            std::sscanf(value.c_str(), "%d,%d,%d,%d", &window.x1, &window.y1, &window.x2, &window.y2);
        else shot.values[name] = std::atof(value.c_str());
    }
}

void render(effect::ImageEffectPlugin& plugin, const OfxRectI& window, const std::string& path) {
    std::unique_ptr<effect::Instance> instance(plugin.createInstance(shot.context, nullptr));
    if (!instance) throw std::runtime_error("no instance");
    require(instance->createInstanceAction(), "createInstance");
    if (!instance->getClipPreferences()) throw std::runtime_error("getClipPreferences failed");
    std::printf("premultiplication %s\n", instance->getOutputPreMultiplication().c_str());
    std::printf("tiles %d\n", instance->getDescriptor().supportsTiles());

    const OfxPointD scale{shot.scale, shot.scale};
    OfxRectD definition{};
    require(instance->getRegionOfDefinitionAction(0, scale, definition), "getRegionOfDefinition");
    print_region("definition", definition);
    const OfxRectD asked{window.x1 / shot.scale, window.y1 / shot.scale, window.x2 / shot.scale,
                         window.y2 / shot.scale};
    std::map<effect::ClipInstance*, OfxRectD> regions;
    require(instance->getRegionOfInterestAction(0, scale, asked, regions), "getRegionsOfInterest");
    for (const auto& [clip, region] : regions) print_region("interest-" + clip->getName(), region);

    OfxTime time = 0;
    std::string identical;
    std::printf("isIdentity %d\n",
                instance->isIdentityAction(time, kOfxImageFieldNone, window, scale, identical));
    require(instance->beginRenderAction(0, 0, 1, false, scale, true, false), "beginSequenceRender");
    const OfxStatus rendered =
        instance->renderAction(0, kOfxImageFieldNone, window, scale, true, false, false);
    std::printf("render %d\n", rendered);
    require(instance->endRenderAction(0, 0, 1, false, scale, true, false), "endSequenceRender");
    std::printf("living %d\n", living_images);
    auto* output = static_cast<Clip*>(instance->getClip(kOfxImageEffectOutputClipName));
    std::printf("padding %s\n", output->memory->is_padding_untouched() ? "untouched" : "overwritten");
    if (rendered == kOfxStatOK) output->memory->write(path);
}

}  // namespace

int main(int count, char** arguments) {
    int result = 0;
    try {
        OfxRectI window{};
        read_arguments(count, arguments, window);
        OFX::Host::PluginCache::getPluginCache()->setCacheVersion("cleanplate.tests");
        Host host;
        {
            effect::PluginCache cache(host);
            cache.registerInCache(*OFX::Host::PluginCache::getPluginCache());
            OFX::Host::PluginCache::getPluginCache()->scanPluginFiles();
            auto* plugin = cache.getPluginById("com.github.cleanplate.Keyer");
            if (!plugin) throw std::runtime_error("no such plug-in in OFX_PLUGIN_PATH");
            render(*plugin, window, arguments[9]);
        }
        OFX::Host::PluginCache::clearPluginCache();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        result = 1;
    }
    return result;
}
