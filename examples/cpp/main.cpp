// Alpha of a picture, with LibTorch alone: matte MODEL.pt SOURCE.ppm PLATE.ppm ALPHA.pgm
//
// The model is what `cleanplate export lite --to torchscript -o lite.pt` wrote, or an archive of BGMv2's
// authors. Source and plate are binary PPM files of one size, which any image program writes.

#include <torch/script.h>

#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

// Reads a binary PPM ("P6", no comments, 8 bits) as float (1, 3, height, width) in [0, 1].
torch::Tensor read_ppm(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string magic;
    int64_t width = 0, height = 0, top = 0;
    file >> magic >> width >> height >> top;
    file.get();  // the one white space before the pixels
    if (!file || magic != "P6" || top != 255) throw std::runtime_error(path + " is no 8-bit binary PPM");
    std::vector<uint8_t> pixels(3 * width * height);
    if (!file.read(reinterpret_cast<char*>(pixels.data()), pixels.size()))
        throw std::runtime_error(path + " ends too early");
    auto picture = torch::from_blob(pixels.data(), {1, height, width, 3}, torch::kUInt8);
    return picture.permute({0, 3, 1, 2}).to(torch::kFloat32).div(255).contiguous();
}

// Writes (height, width) in [0, 1] as a binary PGM of 8 bits.
void write_pgm(const std::string& path, const torch::Tensor& alpha) {
    auto codes = alpha.mul(255).round().to(torch::kUInt8).contiguous();
    std::ofstream file(path, std::ios::binary);
    file << "P5\n" << codes.size(1) << " " << codes.size(0) << "\n255\n";
    file.write(reinterpret_cast<const char*>(codes.data_ptr<uint8_t>()), codes.numel());
    if (!file.flush()) throw std::runtime_error(path + " cannot be written");
}

int main(int count, char** arguments) {
    if (count != 5) {
        std::cerr << "usage: matte MODEL.pt SOURCE.ppm PLATE.ppm ALPHA.pgm\n";
        return 2;
    }
    try {
        torch::InferenceMode no_gradients;
        auto model = torch::jit::load(arguments[1]);
        // Settings are attributes, as in BGMv2's archives; what is not set stays as it was exported:
        //   model.setattr("backbone_scale", 0.25);
        //   model.setattr("refine_mode", "sampling");
        //   model.setattr("refine_sample_pixels", 80000);
        auto source = read_ppm(arguments[2]), plate = read_ppm(arguments[3]);
        // The tuple: alpha, foreground; then what the coarse network saw.
        auto outputs = model.forward({source, plate}).toTuple();
        write_pgm(arguments[4], outputs->elements()[0].toTensor()[0][0]);
    } catch (const c10::Error& error) {
        std::cerr << error.what_without_backtrace() << "\n";
        return 1;
    } catch (const std::exception& error) {
        std::cerr << error.what() << "\n";
        return 1;
    }
    return 0;
}
