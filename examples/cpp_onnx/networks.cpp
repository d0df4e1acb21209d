#include "networks.h"

#include <onnxruntime_c_api.h>

#include <stdexcept>
#include <string>

namespace cleanplate {

namespace {

const OrtApi& api() {
    static const OrtApi* found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!found)
        throw std::runtime_error(std::string("ONNX Runtime ") + OrtGetApiBase()->GetVersionString() +
                                 " is older than the headers that this program was built with");
    return *found;
}

void check(OrtStatus* status) {
    if (!status) return;
    std::string message = api().GetErrorMessage(status);
    api().ReleaseStatus(status);
    throw std::runtime_error("ONNX Runtime: " + message);
}

// Owns one object of the C interface.
template <typename Object>
struct Release {
    void (*release)(Object*);
    void operator()(Object* object) const { release(object); }
};

template <typename Object>
using Owned = std::unique_ptr<Object, Release<Object>>;

Owned<OrtValue> no_value() { return {nullptr, {api().ReleaseValue}}; }

// A tensor over memory that the caller keeps.
Owned<OrtValue> view(const OrtMemoryInfo* memory, const float* values, std::vector<int64_t> shape) {
    size_t count = 1;
    for (int64_t side : shape) count *= size_t(side);
    OrtValue* value = nullptr;
    check(api().CreateTensorWithDataAsOrtValue(memory, const_cast<float*>(values), count * sizeof(float),
                                               shape.data(), shape.size(),
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    return {value, {api().ReleaseValue}};
}

std::vector<int64_t> shape_of(const Maps& maps) {
    return {1, maps.channels, maps.size.height, maps.size.width};
}

}  // namespace

struct Networks::Sessions {
    Owned<OrtEnv> environment{nullptr, {api().ReleaseEnv}};
    Owned<OrtMemoryInfo> memory{nullptr, {api().ReleaseMemoryInfo}};
    Owned<OrtSession> coarse{nullptr, {api().ReleaseSession}};
    Owned<OrtSession> refiner{nullptr, {api().ReleaseSession}};

    Owned<OrtSession> open(const std::filesystem::path& path, int threads) const {
        if (!std::filesystem::is_regular_file(path))
            throw std::runtime_error("there is no file '" + path.string() + "'");
        OrtSessionOptions* made = nullptr;
        check(api().CreateSessionOptions(&made));
        Owned<OrtSessionOptions> options(made, {api().ReleaseSessionOptions});
        check(api().SetIntraOpNumThreads(made, threads));
        // Sizes change with every frame's tiles; a memory plan for each would be kept forever.
        check(api().DisableMemPattern(made));
        // Spinning threads would take cores from the host.
        check(api().AddSessionConfigEntry(made, "session.intra_op.allow_spinning", "0"));
        OrtSession* session = nullptr;
        check(api().CreateSession(environment.get(), path.c_str(), made, &session));
        return {session, {api().ReleaseSession}};
    }
};

Networks::Networks(const std::filesystem::path& folder, int threads) : sessions_(new Sessions) {
    OrtEnv* environment = nullptr;
    check(api().CreateEnv(ORT_LOGGING_LEVEL_FATAL, "cleanplate", &environment));
    sessions_->environment.reset(environment);
    OrtMemoryInfo* memory = nullptr;
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    sessions_->memory.reset(memory);
    sessions_->coarse = sessions_->open(folder / "lite.coarse.onnx", threads);
    // The router calls the refiner from several threads; its convolutions are too small to share.
    sessions_->refiner = sessions_->open(folder / "lite.refiner.onnx", 1);
}

Networks::~Networks() = default;

Coarse Networks::coarse(const Maps& source, const Maps& plate) const {
    const auto source_value = view(sessions_->memory.get(), source.values.data(), shape_of(source));
    const auto plate_value = view(sessions_->memory.get(), plate.values.data(), shape_of(plate));
    const char* input_names[] = {"source", "plate"};
    const OrtValue* inputs[] = {source_value.get(), plate_value.get()};

    const Size size{source.size.height / coarse_stride, source.size.width / coarse_stride};
    Coarse result{{1, size}, {3, size}, {1, size}, {hidden_channels, size}};
    const char* output_names[] = {"alpha", "residual", "error", "hidden"};
    Owned<OrtValue> owned[4] = {no_value(), no_value(), no_value(), no_value()};
    OrtValue* outputs[4];
    Maps* maps[] = {&result.alpha, &result.residual, &result.error, &result.hidden};
    for (int i = 0; i < 4; ++i) {
        owned[i] = view(sessions_->memory.get(), maps[i]->values.data(), shape_of(*maps[i]));
        outputs[i] = owned[i].get();
    }
    check(api().Run(sessions_->coarse.get(), nullptr, input_names, inputs, 2, output_names, 4, outputs));
    return result;
}

std::vector<float> Networks::refine(int count, const std::vector<float>& half, int half_side,
                                    const std::vector<float>& full, int full_side) const {
    const auto half_value =
        view(sessions_->memory.get(), half.data(), {count, hidden_channels + 10, half_side, half_side});
    const auto full_value = view(sessions_->memory.get(), full.data(), {count, 6, full_side, full_side});
    const char* input_names[] = {"half", "full"};
    const OrtValue* inputs[] = {half_value.get(), full_value.get()};
    const int side = full_side - 4;  // two convolutions of 3 x 3
    std::vector<float> refined(size_t(count) * 4 * side * side);
    const auto output = view(sessions_->memory.get(), refined.data(), {count, 4, side, side});
    const char* output_names[] = {"refined"};
    OrtValue* outputs[] = {output.get()};
    check(api().Run(sessions_->refiner.get(), nullptr, input_names, inputs, 2, output_names, 1, outputs));
    return refined;
}

}  // namespace cleanplate
