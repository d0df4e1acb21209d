// Alpha and foreground of a picture, with ONNX Runtime alone:
//
//   matte MODELS SOURCE.ppm PLATE.ppm ALPHA.pgm FOREGROUND.ppm [--scale S] [--refine R]
//
// MODELS is a folder with lite.coarse.onnx and lite.refiner.onnx. Source and plate are binary PPM files of 8
// or 16 bits, of one size and depth. Alpha has 16 bits, the foreground (straight colour) the depth of the
// source. S is auto, fine or a number from 0.125 to 1; R is an error threshold, full or off.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

#include "keyer.h"

using cleanplate::Maps;
using cleanplate::Picture;
using cleanplate::Quality;
using cleanplate::Refine;

namespace {

// Reads "P6" without comments; samples of 16 bits have the high byte first.
Picture read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int width = 0, height = 0, top = 0;
    file >> magic >> width >> height >> top;
    file.get();  // the one white space before the pixels
    if (!file || magic != "P6" || (top != 255 && top != 65535) || width < 1 || height < 1)
        throw std::runtime_error("'" + path + "' is no binary PPM of 8 or 16 bits");
    Picture picture({height, width}, top);
    const size_t bytes = top == 255 ? 1 : 2;
    std::string samples(picture.pixels.size() * bytes, '\0');
    if (!file.read(&samples[0], std::streamsize(samples.size())))
        throw std::runtime_error("'" + path + "' ends too early");
    for (size_t i = 0; i < picture.pixels.size(); ++i) {
        int value = 0;
        for (size_t b = 0; b < bytes; ++b) value = value << 8 | uint8_t(samples[i * bytes + b]);
        picture.pixels[i] = uint16_t(value);
    }
    return picture;
}

// Writes 1 channel as "P5", 3 as "P6".
void write_maps(const std::string& path, const Maps& maps, int top) {
    std::string samples;
    for (size_t i = 0; i < maps.area(); ++i)
        for (int c = 0; c < maps.channels; ++c) {
            const int value = int(std::lrint(std::clamp(maps.plane(c)[i], 0.f, 1.f) * float(top)));
            if (top > 255) samples += char(value >> 8);
            samples += char(value & 255);
        }
    std::ofstream file(path, std::ios::binary);
    file << (maps.channels == 1 ? "P5\n" : "P6\n") << maps.size.width << " " << maps.size.height << "\n"
         << top << "\n";
    file.write(samples.data(), std::streamsize(samples.size()));
    if (!file.flush()) throw std::runtime_error("'" + path + "' cannot be written");
}

double read_number(const std::string& text, double least, const char* option) {
    size_t end = 0;
    double value = -1;
    try {
        value = std::stod(text, &end);
    } catch (const std::logic_error&) {
        end = 0;
    }
    if (end != text.size() || text.empty() || !(value >= least && value <= 1))
        throw std::runtime_error(std::string("cannot read '") + text + "' as a value of " + option);
    return value;
}

Quality read_quality(int count, char** arguments) {
    Quality quality;
    for (int i = 0; i + 1 < count; i += 2) {
        const std::string option = arguments[i], value = arguments[i + 1];
        if (option == "--scale" && value == "fine") {
            quality.mode = Quality::fine;
        } else if (option == "--scale" && value != "auto") {
            quality.mode = Quality::fixed;
            quality.scale = read_number(value, 0.125, "--scale");
        } else if (option == "--refine" && (value == "full" || value == "off")) {
            quality.refine.mode = value == "full" ? Refine::everywhere : Refine::nowhere;
        } else if (option == "--refine") {
            quality.refine.threshold = read_number(value, 0, "--refine");
        } else if (option != "--scale") {
            throw std::runtime_error("unknown option '" + option + "'");
        }
    }
    return quality;
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 6 || count % 2) {
        std::cerr
            << "usage: matte MODELS SOURCE.ppm PLATE.ppm ALPHA.pgm FOREGROUND.ppm [--scale S] [--refine R]\n";
        return 2;
    }
    try {
        const Quality quality = read_quality(count - 6, arguments + 6);
        const Picture source = read_ppm(arguments[2]), plate = read_ppm(arguments[3]);
        const cleanplate::Keyer keyer(arguments[1]);
        const cleanplate::Matte matte = keyer.key(source, plate, quality);
        write_maps(arguments[4], matte.alpha, 65535);
        write_maps(arguments[5], matte.foreground, source.top);
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
