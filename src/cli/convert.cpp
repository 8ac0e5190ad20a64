// fewbit convert: the same network in another storage.

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "io/model_file.h"
#include "io/onnx/writer.h"
#include "passes/export_onnx.h"
#include "passes/store_floats.h"
#include "runtime/session.h"

namespace fewbit::cli {
namespace {

struct ConvertOptions {
  std::string model, output, to;
  std::string products = "qdq";
  bool external_data = false;
  bool json = false;
};

int64_t file_bytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

// What the stored weights are multiplied in here.
DType computed_in(const ConvertOptions& options) {
  return options.to == "bf16" && bfloat16_is_fast() ? DType::kBfloat16 : DType::kFloat32;
}

Json json_of(const ConvertOptions& options, const std::vector<StoredTensor>& stored,
             int64_t bytes_before) {
  Json tensors = Json::array();
  for (const StoredTensor& t : stored) {
    tensors.push_back({{"name", t.name},
                       {"elements", t.elements},
                       {"became_zero", t.became_zero},
                       {"relative_error", t.relative_error}});
  }
  return {{"model", options.model},
          {"output", options.output},
          {"to", options.to.empty() ? Json() : Json(options.to)},
          {"computed_in",
           options.to.empty() ? Json() : Json(std::string(name_of(computed_in(options))))},
          {"file_bytes_before", bytes_before},
          {"file_bytes", file_bytes(options.output)},
          {"tensors", tensors}};
}

std::string text_of(const ConvertOptions& options, const std::vector<StoredTensor>& stored,
                    int64_t bytes_before) {
  std::string text =
      fmt::format("{}: {} (before: {})\n", options.output, human_bytes(file_bytes(options.output)),
                  human_bytes(bytes_before));
  if (options.to.empty()) return text;
  int64_t elements = 0, zeros = 0;
  double worst = 0;
  for (const StoredTensor& t : stored) {
    elements += t.elements;
    zeros += t.became_zero;
    worst = std::max(worst, t.relative_error);
  }
  text += fmt::format("{} tensors with {} values are stored as {}; largest relative error {:.2g}\n",
                      stored.size(), human_count(static_cast<double>(elements)), options.to, worst);
  if (zeros > 0)
    text += fmt::format("{} values are too small for {} and became 0\n", zeros, options.to);
  if (computed_in(options) == DType::kBfloat16) {
    text += "fewbit computes with them in bfloat16 on this processor, with sums in float32\n";
  } else {
    text += "fewbit computes with them in float32 on this processor: they are storage\n";
  }
  return text;
}

Status write(const Model& model, const ConvertOptions& options) {
  if (!options.external_data) return write_model(model, options.output);
  OnnxWriteOptions onnx;
  onnx.external_data = true;
  return write_onnx(model, options.output, onnx);
}

Status convert_model(const ConvertOptions& options) {
  FEWBIT_ASSIGN(const ModelFileKind kind, kind_of_name(options.output));
  if (options.external_data && kind != ModelFileKind::kOnnx) {
    return misuse("--external-data: {} is one file by its nature", options.output);
  }
  FEWBIT_ASSIGN(Model model, load_model(options.model));
  const int64_t bytes_before = file_bytes(options.model);
  std::vector<StoredTensor> stored;
  if (!options.to.empty()) {
    auto result = store_floats(model, options.to == "fp16" ? DType::kFloat16 : DType::kBfloat16);
    if (!result.ok()) return std::move(result).error().with_context(options.model);
    stored = std::move(result).value();
  }
  if (kind == ModelFileKind::kOnnx) {
    Status exported = export_decode_nodes(model, {options.products == "nbits"});
    if (!exported.ok()) return std::move(exported).error().with_context(options.model);
  }
  FEWBIT_TRY(write(model, options));
  return options.json ? print_json(json_of(options, stored, bytes_before))
                      : print_text(text_of(options, stored, bytes_before));
}

}  // namespace

Run add_convert(Arguments& arguments) {
  auto options = std::make_shared<ConvertOptions>();
  arguments.option("model", options->model, kModelHelp).required().type_name("MODEL");
  arguments
      .option("-o,--output", options->output,
              "The file to write: a name in .onnx, or .fewbit for Fewbit's own format")
      .required()
      .type_name("OUT");
  arguments
      .option("--to", options->to,
              "Store float32 weights in 16 bits: fp16, or bf16 (float32's range, fewer digits). "
              "Biases, normalizations and quantizer scales stay. Without it the model is read "
              "and written back")
      .choices({"fp16", "bf16"})
      .type_name("fp16|bf16");
  arguments
      .option("--products", options->products,
              "ONNX: products with weights in few bits as DequantizeLinear (qdq), or as "
              "ONNX Runtime's MatMulNBits (nbits)")
      .choices({"qdq", "nbits"})
      .type_name("qdq|nbits");
  arguments.flag("--external-data", options->external_data,
                 "Put large weights into a second file, OUT.data (.onnx only)");
  arguments.flag("--json", options->json, "Print what was done as one JSON object");
  return [options] { return convert_model(*options); };
}

}  // namespace fewbit::cli
