#include "passes/store_floats.h"

#include <gtest/gtest.h>

#include "base/random.h"
#include "runtime/session.h"

namespace fewbit {
namespace {

// y = (x w) * scale + bias, all constants of float32; the scale is [1, 8].
Model product(float largest, int opset = 17) {
  Model model;
  model.opsets[""] = opset;
  Graph& g = model.graph;
  Random random(3);
  std::vector<float> w(64), vector(8);
  random.fill_normal(w, 0, 1);
  random.fill_normal(vector, 0, 1);
  w[7] = largest;
  w[8] = 1e-9F;
  ValueId x =
      g.add_value("x", ValueType::tensor(DType::kFloat32, Shape{Dim::named("n"), Dim::of(8)}));
  ValueId weight = g.add_constant("w", Tensor::from({8, 8}, w));
  ValueId scale = g.add_constant("scale", Tensor::from({1, 8}, vector));
  ValueId xw = g.add_value("xw");
  ValueId y =
      g.add_value("y", ValueType::tensor(DType::kFloat32, Shape{Dim::named("n"), Dim::of(8)}));
  Node matmul, mul;
  matmul.op_type = "MatMul";
  matmul.opset = mul.opset = opset;
  matmul.inputs = {x, weight};
  matmul.outputs = {xw};
  mul.op_type = "Mul";
  mul.inputs = {xw, scale};
  mul.outputs = {y};
  g.add_node(matmul);
  g.add_node(mul);
  g.inputs = {x};
  g.outputs = {y};
  return model;
}

Tensor run(const Model& model) {
  auto session = Session::create(model, {});
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message());
  std::vector<float> x(16);
  Random(4).fill_normal(x, 0, 1);
  auto out = session->run({{"x", Tensor::from({2, 8}, x)}});
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().message());
  return out->front().tensor();
}

TEST(StoreFloats, HalvesTheWeightAndKeepsTheOutput) {
  for (DType type : {DType::kFloat16, DType::kBfloat16}) {
    Model model = product(2);
    const Tensor before = run(model);
    auto stored = store_floats(model, type);
    ASSERT_TRUE(stored.ok());
    ASSERT_EQ(stored->size(), 1U);  // not the scale
    EXPECT_EQ(stored->front().name, "w");
    EXPECT_EQ(stored->front().became_zero, type == DType::kFloat16 ? 1 : 0);
    // Rounding to nearest: half a unit in the last of 11 or 8 bits, for each element.
    const double unit = type == DType::kFloat16 ? 0x1p-11 : 0x1p-8;
    EXPECT_GT(stored->front().relative_error, 0);
    EXPECT_LE(stored->front().relative_error, unit);
    const Tensor after = run(model);
    // Of 8 products of weights up to 4 and inputs up to 4, times a scale up to 4.
    for (int64_t i = 0; i < 16; ++i) {
      EXPECT_NEAR(after.data<float>()[i], before.data<float>()[i], 8 * 64 * unit);
    }
  }
}

TEST(StoreFloats, RefusesToMakeInfinities) {
  Model model = product(70000);
  auto stored = store_floats(model, DType::kFloat16);
  ASSERT_FALSE(stored.ok());
  EXPECT_NE(stored.error().message().find("'w': 1 of 64 values"), std::string::npos)
      << stored.error().message();
  model = product(70000);
  EXPECT_TRUE(store_floats(model, DType::kBfloat16).ok());
  model = product(2, 12);
  EXPECT_EQ(store_floats(model, DType::kBfloat16).error().kind(), ErrorKind::kUnsupported);
}

}  // namespace
}  // namespace fewbit
