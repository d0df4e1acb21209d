// The module of `cleanplate export lite --to nuke -o lite.pt` in LibTorch, called as Nuke's Inference node
// calls it: one tensor in, one tensor out, knobs as attributes, the picture as a whole or in tiles.
//
//   inference MODEL.pt HEIGHT WIDTH IN.raw OUT.raw [tile=SIDE] [overlap=PIXELS] [NAME=NUMBER ...]
//
// IN.raw holds float32 (6, height, width): red, green and blue of the shot, then of the plate.
// OUT.raw receives float32 (4, height, width): red, green and blue of the foreground, straight, then alpha.

#include <torch/script.h>

#include <algorithm>
#include <fstream>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>

torch::Tensor read_raw(const std::string& path, int64_t height, int64_t width) {
    auto picture = torch::empty({1, 6, height, width});
    std::ifstream file(path, std::ios::binary);
    auto bytes = static_cast<std::streamsize>(picture.numel() * sizeof(float));
    if (!file.read(reinterpret_cast<char*>(picture.data_ptr<float>()), bytes))
        throw std::runtime_error(path + " is missing or too short");
    return picture;
}

void write_raw(const std::string& path, const torch::Tensor& picture) {
    auto pixels = picture.contiguous();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(pixels.data_ptr<float>()), pixels.numel() * sizeof(float));
    if (!file.flush()) throw std::runtime_error(path + " cannot be written");
}

// Sets a knob; an attribute keeps its type, as integer and float knobs do.
void set_knob(torch::jit::Module& model, const std::string& name, double value) {
    if (!model.hasattr(name)) throw std::runtime_error("the module has no attribute " + name);
    if (model.attr(name).isInt())
        model.setattr(name, static_cast<int64_t>(value));
    else
        model.setattr(name, value);
}

// Runs the module on tiles that share `overlap` pixels, and keeps the middle of each.
torch::Tensor run(torch::jit::Module& model, const torch::Tensor& picture, int64_t tile, int64_t overlap) {
    int64_t height = picture.size(2), width = picture.size(3);
    if (tile <= 0) return model.forward({picture}).toTensor();
    if (tile <= 2 * overlap) throw std::runtime_error("the overlap is too large for the tile");
    auto result = torch::empty({1, 4, height, width});
    int64_t step = tile - 2 * overlap;
    for (int64_t top = 0; top < height; top += step) {
        for (int64_t left = 0; left < width; left += step) {
            int64_t bottom = std::min(top + step, height), right = std::min(left + step, width);
            int64_t y0 = std::max<int64_t>(top - overlap, 0), x0 = std::max<int64_t>(left - overlap, 0);
            int64_t y1 = std::min(bottom + overlap, height), x1 = std::min(right + overlap, width);
            auto part = picture.slice(2, y0, y1).slice(3, x0, x1).contiguous();
            auto keyed = model.forward({part}).toTensor();
            result.slice(2, top, bottom).slice(3, left, right).copy_(
                keyed.slice(2, top - y0, bottom - y0).slice(3, left - x0, right - x0));
        }
    }
    return result;
}

int main(int count, char** arguments) {
    if (count < 6) {
        std::cerr << "usage: inference MODEL.pt HEIGHT WIDTH IN.raw OUT.raw [tile=SIDE] [overlap=PIXELS] "
                     "[NAME=NUMBER ...]\n";
        return 2;
    }
    try {
        torch::NoGradGuard no_gradients;
        auto model = torch::jit::load(arguments[1]);
        std::map<std::string, double> options{{"tile", 0}, {"overlap", 0}};
        for (int i = 6; i < count; ++i) {
            std::string text = arguments[i];
            auto equals = text.find('=');
            if (equals == std::string::npos) throw std::runtime_error(text + " is no NAME=NUMBER");
            auto name = text.substr(0, equals);
            auto value = std::stod(text.substr(equals + 1));
            if (options.count(name))
                options[name] = value;
            else
                set_knob(model, name, value);
        }
        auto picture = read_raw(arguments[4], std::stoll(arguments[2]), std::stoll(arguments[3]));
        write_raw(arguments[5], run(model, picture, static_cast<int64_t>(options["tile"]),
                                    static_cast<int64_t>(options["overlap"])));
    } catch (const c10::Error& error) {
        std::cerr << error.what_without_backtrace() << "\n";
        return 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
