// fewbit_conformance FOLDER [--plain] [--from I]: runs the cases of a folder, one after another.
//
// FOLDER/cases.txt names one case per line. Case I is I.model.onnx with the data sets I.0.in.onnx,
// I.1.in.onnx, ...: models without nodes whose constants are the inputs. Constant "K" is input K,
// "K/J" item J of a sequence; the model's metadata says for each K whether it is a "tensor", a
// "sequence" or "none". The outputs are written in the same form to I.0.out.onnx, ...
//
// One line is printed per case: I, "ran", "unsupported" or "failed", and the reason, between tabs.

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include "io/onnx/reader.h"
#include "io/onnx/writer.h"
#include "runtime/session.h"

namespace {

using namespace fewbit;

RuntimeValue read_value(const Model& data, const std::string& key, const std::string& kind) {
  auto tensor = [&](const std::string& name) -> RuntimeValue {
    const Tensor* t = data.graph.constant(data.graph.find_value(name));
    return t == nullptr ? RuntimeValue() : RuntimeValue(*t);
  };
  if (kind == "tensor") return tensor(key);
  if (kind != "sequence") return {};
  std::vector<RuntimeValue> items;
  for (size_t j = 0;; ++j) {
    const std::string name = fmt::format("{}/{}", key, j);
    if (data.graph.find_value(name) == kNone) break;
    items.push_back(tensor(name));
  }
  return RuntimeValue::sequence(std::move(items));
}

void add_value(Model& data, const std::string& key, const RuntimeValue& value) {
  auto add = [&](const std::string& name, const Tensor& tensor) {
    data.graph.outputs.push_back(data.graph.add_constant(name, tensor));
  };
  data.metadata[key] = value.is_tensor() ? "tensor" : value.is_sequence() ? "sequence" : "none";
  if (value.is_tensor()) add(key, value.tensor());
  if (!value.is_sequence()) return;
  for (size_t j = 0; j < value.items().size(); ++j) {
    const RuntimeValue& item = value.items()[j];
    if (item.is_tensor()) add(fmt::format("{}/{}", key, j), item.tensor());
  }
}

Status run_data_set(Session& session, const std::string& stem) {
  FEWBIT_ASSIGN(Model data, read_onnx(stem + ".in.onnx"));
  Feeds feeds;
  const auto inputs = session.inputs();
  for (size_t k = 0; k < inputs.size(); ++k) {
    const std::string key = std::to_string(k);
    auto kind = data.metadata.find(key);
    if (kind == data.metadata.end()) continue;
    feeds.emplace_back(inputs[k].first, read_value(data, key, kind->second));
  }
  FEWBIT_ASSIGN(std::vector<RuntimeValue> outputs, session.run(feeds));
  Model result;
  result.opsets[""] = data.onnx_opset();
  for (size_t k = 0; k < outputs.size(); ++k) add_value(result, std::to_string(k), outputs[k]);
  return write_onnx(result, stem + ".out.onnx");
}

Status run_case(const std::string& stem, bool optimize) {
  FEWBIT_ASSIGN(Model model, read_onnx(stem + ".model.onnx"));
  SessionOptions options;
  options.threads = 1;
  options.optimize = optimize;
  FEWBIT_ASSIGN(Session session, Session::create(std::move(model), options));
  for (size_t k = 0; std::filesystem::exists(fmt::format("{}.{}.in.onnx", stem, k)); ++k) {
    FEWBIT_TRY(run_data_set(session, fmt::format("{}.{}", stem, k)));
  }
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  bool optimize = true;
  long first = 0;
  bool usable = argc >= 2;
  for (int i = 2; i < argc && usable; ++i) {
    if (std::strcmp(argv[i], "--plain") == 0) {
      optimize = false;
    } else if (std::strcmp(argv[i], "--from") == 0 && i + 1 < argc) {
      first = std::strtol(argv[++i], nullptr, 10);
    } else {
      usable = false;
    }
  }
  if (!usable) {
    std::fprintf(stderr, "usage: %s FOLDER [--plain] [--from I]\n", argv[0]);
    return 2;
  }
  const std::string folder = argv[1];
  std::ifstream names(folder + "/cases.txt");
  std::string name;
  for (long i = 0; std::getline(names, name); ++i) {
    if (i < first) continue;
    const Status status = run_case(fmt::format("{}/{}", folder, i), optimize);
    const bool unsupported_case = !status.ok() && status.error().kind() == ErrorKind::kUnsupported;
    std::string reason = status.ok() ? "" : status.error().message();
    for (char& c : reason) {
      if (c == '\n' || c == '\t') c = ' ';
    }
    std::printf("%ld\t%s\t%s\n", i,
                status.ok()        ? "ran"
                : unsupported_case ? "unsupported"
                                   : "failed",
                reason.c_str());
    std::fflush(stdout);  // what stands here is known even if the next case kills the process
  }
  return 0;
}
