#pragma once
// Small graphs and data sets for the tests of this folder.

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/npy.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace fewbit::test {

/// Builds a graph node by node; values are named.
class Builder {
 public:
  Builder() {
    model_.opsets[""] = 17;
    model_.ir_version = 8;
  }

  Builder& input(const std::string& name, Shape shape) {
    model_.graph.inputs.push_back(
        model_.graph.add_value(name, ValueType::tensor(DType::kFloat32, std::move(shape))));
    return *this;
  }
  Builder& constant(const std::string& name, Tensor tensor) {
    model_.graph.add_constant(name, std::move(tensor));
    return *this;
  }
  /// One output, named `out`.
  Builder& node(const std::string& op, const std::vector<std::string>& in, const std::string& out,
                std::map<std::string, Attribute, std::less<>> attributes = {}) {
    Node n;
    n.op_type = op;
    n.name = "node_" + out;
    n.opset = 17;
    n.attributes = std::move(attributes);
    for (const std::string& name : in) n.inputs.push_back(model_.graph.find_value(name));
    n.outputs = {model_.graph.add_value(out)};
    model_.graph.add_node(std::move(n));
    return *this;
  }
  Model output(const std::string& name) {
    model_.graph.outputs.push_back(model_.graph.find_value(name));
    return model_;
  }

 private:
  Model model_;
};

inline Session session_of(const Model& model) {
  SessionOptions options;
  options.threads = 1;
  auto session = Session::create(model, options);
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message());
  return std::move(session).value();
}

/// A folder that goes away with the object.
class Folder {
 public:
  Folder() {
    static int count = 0;
    path_ = std::filesystem::temp_directory_path() /
            fmt::format("fewbit_eval_{}_{}", getpid(), count++);
    std::filesystem::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

/// Samples as rows of `x`, with labels unless there are none.
inline DataSet data_of(const Folder& folder, const Tensor& x, const std::vector<int64_t>& labels) {
  EXPECT_TRUE(write_npy(folder / "x.npy", x).ok());
  std::string toml = "kind = \"arrays\"\nfile = \"x.npy\"\n";
  if (!labels.empty()) {
    const auto n = static_cast<int64_t>(labels.size());
    EXPECT_TRUE(write_npy(folder / "y.npy", Tensor::from({n}, labels)).ok());
    toml += "labels = \"y.npy\"\n";
  }
  auto set = DataSet::from_text(toml, folder / "set.toml");
  EXPECT_TRUE(set.ok()) << (set.ok() ? "" : set.error().message());
  return std::move(set).value();
}

}  // namespace fewbit::test
