// fewbit run: arrays in, arrays out.

#include <filesystem>
#include <set>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "data/npy.h"
#include "numerics/convert.h"

namespace fewbit::cli {
namespace {

struct RunOptions {
  std::string model;
  std::vector<std::string> inputs;
  std::string output;
  int threads = 0;
  bool json = false;
};

// Values that the array's type holds, but NumPy has no name for the type: as the model declares it.
Result<Tensor> as_declared(const Tensor& tensor, const ValueType& type) {
  bool numpy_lacks =
      type.elem == DType::kBfloat16 || (bits_of(type.elem) <= 8 && is_float(type.elem));
  bool packed = is_integer(type.elem) && bits_of(type.elem) < 8;
  if ((numpy_lacks && tensor.type() == DType::kFloat32) ||
      (packed && (tensor.type() == DType::kInt8 || tensor.type() == DType::kUint8))) {
    return cast(tensor, type.elem);
  }
  return tensor;
}

Result<Feeds> read_feeds(const Session& session, const std::vector<std::string>& flags) {
  const auto inputs = session.inputs();
  FEWBIT_ASSIGN(const auto specs, parse_inputs(flags, inputs));
  Feeds feeds;
  for (const InputSpec& spec : specs) {
    if (spec.file.empty()) {
      return misuse("--input {}: expected a file, found a shape", spec.name);
    }
    FEWBIT_ASSIGN(Tensor tensor, read_npy(spec.file));
    for (const auto& [name, type] : inputs) {
      if (name != spec.name || type.elem == DType::kUndefined) continue;
      FEWBIT_ASSIGN(tensor, as_declared(tensor, type));
    }
    feeds.emplace_back(spec.name, std::move(tensor));
  }
  return feeds;
}

std::string file_name(std::string name) {
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  return name + ".npy";
}

Status make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return io_error("{}: cannot create the folder: {}", path, error.message());
  return {};
}

Status run_model(const RunOptions& options) {
  FEWBIT_ASSIGN(Session session, open_session(options.model, options.threads));
  FEWBIT_ASSIGN(const Feeds feeds, read_feeds(session, options.inputs));
  FEWBIT_ASSIGN(const auto results, session.run(feeds));
  FEWBIT_TRY(make_folder(options.output));
  const auto outputs = session.outputs();
  Json list = Json::array();
  std::string text;
  std::set<std::string> files;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& name = outputs[i].first;
    if (!results[i].is_tensor()) {
      return unsupported("output '{}' is {}: only tensors can be written as npy", name,
                         results[i].is_sequence() ? "a sequence" : "empty");
    }
    const Tensor& tensor = results[i].tensor();
    const std::string file = file_name(name);
    if (!files.insert(file).second) {
      return unsupported("output '{}': another output goes to {} too", name, file);
    }
    const std::string path = (std::filesystem::path(options.output) / file).string();
    FEWBIT_TRY(write_npy(path, tensor));
    list.push_back({{"name", name},
                    {"type", name_of(tensor.type())},
                    {"shape", tensor.dims()},
                    {"file", path}});
    text += fmt::format("{}  {}{}  -> {}\n", name, name_of(tensor.type()), to_string(tensor.dims()),
                        path);
  }
  return options.json ? print_json({{"outputs", list}}) : print_text(text);
}

}  // namespace

Run add_run(Arguments& arguments) {
  auto options = std::make_shared<RunOptions>();
  arguments.option("model", options->model, kModelHelp).required().type_name("MODEL");
  arguments
      .option("-i,--input", options->inputs,
              "Array for an input; once per input. A model with one input needs no NAME=")
      .type_name("NAME=FILE.npy")
      .one_value();
  arguments
      .option("-o,--output", options->output,
              "Folder for the outputs: NAME.npy each, with _ for / in names")
      .required()
      .type_name("DIR");
  add_threads(arguments, options->threads);
  arguments.flag("--json", options->json, "Print what was written as one JSON object");
  return [options] { return run_model(*options); };
}

}  // namespace fewbit::cli
