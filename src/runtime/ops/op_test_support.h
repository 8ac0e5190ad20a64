#pragma once
// Running one operator in a test.
//
//   Tensor y = OpCall("Add", 14).in(a).in(b).output();
//   EXPECT_EQ(values<float>(y), (std::vector<float>{3, 5}));

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "runtime/op.h"

namespace fewbit::ops {

class OpCall {
 public:
  OpCall(std::string op_type, int opset, std::string domain = "") {
    node_.op_type = std::move(op_type);
    node_.domain = std::move(domain);
    node_.opset = opset;
    node_.name = "under_test";
    outputs(1);
  }

  OpCall& in(RuntimeValue value) {
    node_.inputs.push_back(static_cast<ValueId>(inputs_.size()));
    inputs_.push_back(std::move(value));
    return *this;
  }
  /// An optional input that is left out.
  OpCall& none() {
    node_.inputs.push_back(kNone);
    inputs_.emplace_back();
    return *this;
  }
  OpCall& attr(const std::string& key, Attribute value) {
    node_.attributes[key] = std::move(value);
    return *this;
  }
  OpCall& outputs(size_t count) {
    node_.outputs.assign(count, 0);
    return *this;
  }

  /// Stands for the executor where the operator runs graphs.
  OpCall& runner(SubgraphRunner run_subgraph) {
    run_subgraph_ = std::move(run_subgraph);
    return *this;
  }

  Result<std::vector<RuntimeValue>> run() {
    const OpRow* row = find_op(node_);
    if (row == nullptr) return unsupported("{} has no row", node_.label());
    OpContext ctx(node_, inputs_);
    ctx.run_subgraph = run_subgraph_;
    FEWBIT_TRY(row->run(ctx));
    return ctx.outputs();
  }

  /// Output i; a failure of the test if the operator fails.
  Tensor output(size_t i = 0) {
    auto result = run();
    EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.error().message());
    if (!result.ok() || !(*result)[i].is_tensor()) return {};
    return (*result)[i].tensor();
  }

  /// The error's message; "" (and a failure of the test) if there is none.
  std::string error() {
    auto result = run();
    EXPECT_FALSE(result.ok()) << node_.label() << " should have failed";
    if (result.ok()) return "";
    EXPECT_NE(result.error().message().find("under_test"), std::string::npos)
        << "the message does not name the node: " << result.error().message();
    return result.error().message();
  }

 private:
  Node node_;
  std::vector<RuntimeValue> inputs_;
  SubgraphRunner run_subgraph_;
};

template <typename T>
Tensor tensor(Dims dims, std::vector<T> list) {
  if constexpr (std::is_same_v<T, bool>) {
    Tensor t = Tensor::uninitialized(DType::kBool, std::move(dims));
    std::copy(list.begin(), list.end(), t.data<bool>());
    return t;
  } else {
    return Tensor::from<T>(std::move(dims), list);
  }
}
inline Tensor floats(Dims dims, std::vector<float> list) {
  return tensor<float>(std::move(dims), std::move(list));
}
inline Tensor ints(Dims dims, std::vector<int64_t> list) {
  return tensor<int64_t>(std::move(dims), std::move(list));
}
inline Tensor int_list(std::vector<int64_t> list) {
  return ints({static_cast<int64_t>(list.size())}, list);
}

template <typename T>
std::vector<T> values(const Tensor& t) {
  EXPECT_EQ(t.type(), DTypeOf<T>::value);
  if (t.type() != DTypeOf<T>::value) return {};
  return std::vector<T>(t.data<T>(), t.data<T>() + t.elements());
}

}  // namespace fewbit::ops
