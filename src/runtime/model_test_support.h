#pragma once
// Small models built node by node, and running them, for the tests of the runtime and of what
// stands on it.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "graph/graph.h"
#include "runtime/session.h"

namespace fewbit::test {

using NodeAttributes = std::map<std::string, Attribute, std::less<>>;
using Names = std::vector<std::string>;

/// Quantization parameters of one value.
struct CodeParams {
  float scale;
  int zero;
  DType type = DType::kUint8;
};

/// Values are named; "" stands for an input that is left out.
class ModelBuilder {
 public:
  explicit ModelBuilder(int opset = 17) : opset_(opset) {
    model.opsets[""] = opset;
    model.opsets["com.microsoft"] = 1;
    model.ir_version = 8;
  }

  /// `graph` is part of the copy, not of the original.
  ModelBuilder(const ModelBuilder& other)
      : model(other.model), opset_(other.opset_), random_(other.random_) {}

  /// A dimension below zero is not known.
  ModelBuilder& input(const std::string& name, const Dims& dims, DType type = DType::kFloat32) {
    Shape shape;
    for (int64_t d : dims) shape.push_back(d < 0 ? Dim{} : Dim::of(d));
    graph.inputs.push_back(graph.add_value(name, ValueType::tensor(type, shape)));
    return *this;
  }
  ModelBuilder& constant(const std::string& name, Tensor tensor) {
    graph.add_constant(name, std::move(tensor));
    return *this;
  }
  ModelBuilder& random(const std::string& name, const Dims& dims, float low = -1, float high = 1) {
    Tensor t = Tensor::uninitialized(DType::kFloat32, dims);
    random_.fill_uniform(t.span<float>(), low, high);
    return constant(name, std::move(t));
  }
  ModelBuilder& node(const std::string& op, const Names& in, const Names& out,
                     NodeAttributes attributes = {}) {
    Node n;
    n.op_type = op;
    n.name = "node_" + out.front();
    n.opset = opset_;
    n.attributes = std::move(attributes);
    for (const std::string& name : in) n.inputs.push_back(id(name));
    for (const std::string& name : out) n.outputs.push_back(id(name));
    graph.add_node(std::move(n));
    return *this;
  }
  ModelBuilder& node(const std::string& op, const Names& in, const std::string& out,
                     NodeAttributes attributes = {}) {
    return node(op, in, Names{out}, std::move(attributes));
  }
  /// Constants `stem`_scale and `stem`_zero of one element.
  ModelBuilder& params(const std::string& stem, float scale, int zero, DType type = DType::kUint8) {
    constant(stem + "_scale", Tensor::scalar(scale));
    if (type == DType::kUint8)
      return constant(stem + "_zero", Tensor::scalar(static_cast<uint8_t>(zero)));
    return constant(stem + "_zero", Tensor::scalar(static_cast<int8_t>(zero)));
  }
  /// Codes of `value` as `name`_codes and the reals behind them as `name`_real.
  ModelBuilder& requantize(const std::string& value, const std::string& name, const CodeParams& p) {
    params(name, p.scale, p.zero, p.type);
    node("QuantizeLinear", {value, name + "_scale", name + "_zero"}, name + "_codes");
    return node("DequantizeLinear", {name + "_codes", name + "_scale", name + "_zero"},
                name + "_real");
  }
  ModelBuilder& output(const Names& names) {
    for (const std::string& name : names) graph.outputs.push_back(graph.find_value(name));
    return *this;
  }
  /// The value of this name, made if it is not there; kNone for "".
  ValueId id(const std::string& name) {
    if (name.empty()) return kNone;
    ValueId found = graph.find_value(name);
    return found != kNone ? found : graph.add_value(name);
  }

  Model model;
  Graph& graph = model.graph;

 private:
  int opset_;
  Random random_{7};
};

inline Tensor random_tensor(const Dims& dims, uint64_t seed, float low = -1, float high = 1) {
  Tensor t = Tensor::uninitialized(DType::kFloat32, dims);
  Random(seed).fill_uniform(t.span<float>(), low, high);
  return t;
}

inline Session session_of(const Model& model, SessionOptions options = {}) {
  if (options.threads == 0) options.threads = 1;
  auto session = Session::create(model, options);
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message());
  return std::move(session).value();
}

/// The outputs; empty, with a failure of the test, if the run fails.
inline std::vector<RuntimeValue> run(Session& session, const Feeds& feeds) {
  auto outputs = session.run(feeds);
  EXPECT_TRUE(outputs.ok()) << (outputs.ok() ? "" : outputs.error().message());
  if (!outputs.ok()) return {};
  return std::move(outputs).value();
}
inline std::vector<RuntimeValue> run_model(const Model& model, const Feeds& feeds, bool optimize) {
  SessionOptions options;
  options.optimize = optimize;
  Session session = session_of(model, options);
  return run(session, feeds);
}

/// Largest |a - b| over the largest |a|; infinite where types or dimensions differ or b has a NaN.
inline double relative_difference(const Tensor& a, const Tensor& b) {
  if (a.type() != DType::kFloat32 || b.type() != a.type() || a.dims() != b.dims()) return INFINITY;
  double largest = 0;
  double magnitude = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    double x = a.data<float>()[i];
    double e = std::abs(x - b.data<float>()[i]);
    if (std::isnan(e)) return INFINITY;
    largest = std::max(largest, e);
    magnitude = std::max(magnitude, std::abs(x));
  }
  return magnitude > 0 ? largest / magnitude : largest;
}

/// Both ways of running agree on every float output within `tolerance`, relative to its range, and
/// exactly on the others.
inline void expect_same_optimized(const Model& model, const Feeds& feeds, double tolerance) {
  auto plain = run_model(model, feeds, false);
  auto fast = run_model(model, feeds, true);
  ASSERT_EQ(plain.size(), fast.size());
  for (size_t i = 0; i < plain.size(); ++i) {
    ASSERT_TRUE(plain[i].is_tensor() && fast[i].is_tensor());
    if (plain[i].tensor().type() == DType::kFloat32) {
      EXPECT_LE(relative_difference(plain[i].tensor(), fast[i].tensor()), tolerance) << i;
    } else {
      EXPECT_TRUE(plain[i].tensor().identical(fast[i].tensor())) << i;
    }
  }
}

inline int count_nodes(const Graph& graph, std::string_view op) {
  int count = 0;
  for (NodeId id : graph.order()) count += graph.node(id).op_type == op ? 1 : 0;
  return count;
}

}  // namespace fewbit::test
