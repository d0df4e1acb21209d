#include "clip_image.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>

namespace cleanplate_ofx {

namespace {

// Not a number counts as 0, as comparisons with it are false.
float clip(float value) { return value > 0 ? std::min(value, 1.f) : 0.f; }

template <typename Code>
Code round_code(float value, int top) {
    return Code(std::lrint(clip(value) * float(top)));
}

int bytes_of(Depth depth) { return depth == Depth::byte_ ? 1 : depth == Depth::short_ ? 2 : 4; }

}  // namespace

float to_code(float light) {
    return light <= 0.0031308f ? light * 12.92f : 1.055f * std::pow(light, 1 / 2.4f) - 0.055f;
}

float to_light(float code) {
    return code <= 0.04045f ? code / 12.92f : std::pow((code + 0.055f) / 1.055f, 2.4f);
}

std::unique_ptr<ClipImage> ClipImage::fetch(OfxImageEffectHandle effect, const char* name, OfxTime time) {
    OfxImageClipHandle clip_handle = nullptr;
    if (suites.effect->clipGetHandle(effect, name, &clip_handle, nullptr) != kOfxStatOK) return nullptr;
    OfxPropertySetHandle image = nullptr;
    if (suites.effect->clipGetImage(clip_handle, time, nullptr, &image) != kOfxStatOK || !image)
        return nullptr;
    return std::unique_ptr<ClipImage>(new ClipImage(image));
}

ClipImage::ClipImage(OfxPropertySetHandle properties) : properties_(properties) {
    try {
        void* data = nullptr;
        check(suites.property->propGetPointer(properties, kOfxImagePropData, 0, &data));
        check(suites.property->propGetInt(properties, kOfxImagePropRowBytes, 0, &row_bytes_));
        check(suites.property->propGetIntN(properties, kOfxImagePropBounds, 4, &bounds_.x1));
        data_ = static_cast<char*>(data);
        const std::string depth = get_text(properties, kOfxImageEffectPropPixelDepth);
        const std::string components = get_text(properties, kOfxImageEffectPropComponents);
        if (depth == kOfxBitDepthByte) depth_ = Depth::byte_;
        else if (depth == kOfxBitDepthShort) depth_ = Depth::short_;
        else if (depth == kOfxBitDepthFloat) depth_ = Depth::float_;
        else throw std::runtime_error("Pixels of the depth " + depth + " are not supported.");
        if (components == kOfxImageComponentRGB) channels_ = 3;
        else if (components != kOfxImageComponentRGBA)
            throw std::runtime_error("Pixels with the components " + components + " are not supported.");
        if (!data_) throw std::runtime_error("The host gave an image without pixels.");
    } catch (...) {
        suites.effect->clipReleaseImage(properties_);
        throw;
    }
}

ClipImage::~ClipImage() { suites.effect->clipReleaseImage(properties_); }

char* ClipImage::pixel(int x, int y) const {
    return data_ + std::ptrdiff_t(y - bounds_.y1) * row_bytes_ +
           std::ptrdiff_t(x - bounds_.x1) * channels_ * bytes_of(depth_);
}

cleanplate::Picture ClipImage::read(int top, bool linear) const {
    cleanplate::Picture picture(size(), top);
    for (int row = 0; row < picture.size.height; ++row) {
        const char* from = pixel(bounds_.x1, bounds_.y2 - 1 - row);
        uint16_t* into = picture.row(row);
        for (int x = 0; x < picture.size.width; ++x, from += channels_ * bytes_of(depth_), into += 3)
            for (int c = 0; c < 3; ++c) {
                if (depth_ == Depth::float_) {
                    const float value = reinterpret_cast<const float*>(from)[c];
                    into[c] = round_code<uint16_t>(linear ? to_code(clip(value)) : value, top);
                } else if (depth_ == Depth::short_) {
                    into[c] = reinterpret_cast<const uint16_t*>(from)[c];  // top is 65535 then
                } else {
                    into[c] = uint16_t(reinterpret_cast<const uint8_t*>(from)[c] * (top / 255));
                }
            }
    }
    return picture;
}

void ClipImage::read_light(int x, int y, float* colour) const {
    const float* from = reinterpret_cast<const float*>(pixel(x, y));
    std::copy(from, from + 3, colour);
}

void ClipImage::write(int x, int y, const float* colour, float alpha) const {
    const float values[] = {colour[0], colour[1], colour[2], alpha};
    char* into = pixel(x, y);
    for (int c = 0; c < channels_; ++c) {
        if (depth_ == Depth::float_) reinterpret_cast<float*>(into)[c] = values[c];
        else if (depth_ == Depth::short_)
            reinterpret_cast<uint16_t*>(into)[c] = round_code<uint16_t>(values[c], 65535);
        else reinterpret_cast<uint8_t*>(into)[c] = round_code<uint8_t>(values[c], 255);
    }
}

}  // namespace cleanplate_ofx
