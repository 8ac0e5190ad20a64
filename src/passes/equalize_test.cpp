#include "passes/equalize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;

// Scales index `channel` of the first or second axis of [rows, columns, ...].
void scale_channel(Tensor& w, int64_t axis, int64_t channel, float by) {
  int64_t inner = w.elements() / w.dim(0) / w.dim(1);
  for (int64_t o = 0; o < w.dim(0); ++o) {
    for (int64_t i = 0; i < w.dim(1); ++i) {
      if ((axis == 0 ? o : i) != channel) continue;
      for (int64_t k = 0; k < inner; ++k) w.data<float>()[(o * w.dim(1) + i) * inner + k] *= by;
    }
  }
}

// conv 1x1 -> clip -> depthwise 3x3 -> clip -> conv 1x1, channel ranges over four decades.
ModelBuilder inverted_residual(const std::string& activation, bool dead) {
  ModelBuilder b;
  Tensor w1 = random_tensor({8, 4, 1, 1}, 1);
  Tensor w2 = random_tensor({8, 1, 3, 3}, 2);
  Tensor w3 = random_tensor({5, 8, 1, 1}, 3);
  Tensor b1 = random_tensor({8}, 4, -0.5F, 0.5F);
  for (int64_t c = 0; c < 8; ++c) {
    auto s = static_cast<float>(std::pow(10.0, (static_cast<double>(c) - 3.5) * 0.5));
    scale_channel(w1, 0, c, s);
    scale_channel(w3, 1, c, 1 / s);
    b1.data<float>()[c] *= s;
  }
  if (dead) {
    scale_channel(w1, 0, 2, 0);  // never positive: its huge counterparts meet zeros
    b1.data<float>()[2] = -0.1F;
    scale_channel(w2, 0, 2, 1e6F);
    scale_channel(w1, 0, 5, 0);  // a small positive constant
    b1.data<float>()[5] = 1e-3F;
    scale_channel(w2, 0, 5, 200);
    scale_channel(w3, 1, 6, 0);  // nobody listens
  }
  b.input("x", {2, 4, 6, 6}).constant("w1", w1).constant("w2", w2).constant("w3", w3);
  b.constant("b1", b1).random("b2", {8}, -0.2F, 0.2F);
  b.constant("zero", Tensor::scalar(0.0F)).constant("six", Tensor::scalar(6.0F));
  auto act = [&](const std::string& in, const std::string& out) {
    if (activation.empty()) b.node("Relu", {in}, out);
    if (activation == "Clip") b.node("Clip", {in, "zero", "six"}, out);
    if (activation == "LeakyRelu") b.node("LeakyRelu", {in}, out, {{"alpha", 0.1F}});
  };
  b.node("Conv", {"x", "w1", "b1"}, "c1");
  act("c1", "a1");
  b.node("Conv", {"a1", "w2", "b2"}, "c2",
         {{"group", int64_t{8}}, {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  act("c2", "a2");
  b.node("Conv", {"a2", "w3"}, "y").output({"y"});
  EXPECT_TRUE(infer_graph(b.graph).ok());
  return b;
}

// Largest magnitude for each channel of a convolution's weight.
std::vector<double> ranges(const Graph& graph, const std::string& name, int64_t axis) {
  const Tensor& w = *graph.constant(graph.find_value(name));
  std::vector<double> out(static_cast<size_t>(w.dim(axis)));
  int64_t inner = w.elements() / w.dim(0) / w.dim(1);
  for (int64_t i = 0; i < w.elements(); ++i) {
    int64_t row = i / inner / w.dim(1);
    int64_t column = i / inner % w.dim(1);
    double& r = out[static_cast<size_t>(axis == 0 ? row : column)];
    r = std::max(r, std::abs(static_cast<double>(w.data<float>()[i])));
  }
  return out;
}

int apply(ModelBuilder& b, const EqualizeOptions& options = {}) {
  auto pairs = equalize(b.graph, options);
  EXPECT_TRUE(pairs.ok()) << (pairs.ok() ? "" : pairs.error().message());
  EXPECT_TRUE(infer_graph(b.graph).ok());
  return pairs.ok() ? *pairs : -1;
}

TEST(Equalize, OutputsStayWithinRounding) {
  for (const char* activation : {"", "Clip", "LeakyRelu"}) {
    for (bool dead : {false, true}) {
      ModelBuilder b = inverted_residual(activation, dead);
      Model before = b.model;
      Feeds feeds = {{"x", random_tensor({2, 4, 6, 6}, 9, -3, 3)}};
      EXPECT_EQ(apply(b), 2);
      auto a = test::run_model(before, feeds, false);
      auto e = test::run_model(b.model, feeds, false);
      EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-5)
          << activation << dead;
    }
  }
}

TEST(Equalize, RangesBecomeEqual) {
  ModelBuilder b = inverted_residual("Clip", false);
  EqualizeOptions options;
  options.max_scale = 1e6F;
  options.dead_share = 1e-7F;
  options.max_rounds = 200;
  apply(b, options);
  std::vector<double> first = ranges(b.graph, "w1", 0);
  std::vector<double> depthwise = ranges(b.graph, "w2", 0);
  std::vector<double> last = ranges(b.graph, "w3", 1);
  for (size_t c = 0; c < first.size(); ++c) {
    EXPECT_NEAR(first[c] / depthwise[c], 1, 0.01) << c;
    EXPECT_NEAR(depthwise[c] / last[c], 1, 0.01) << c;
  }
}

TEST(Equalize, ScalesAreBounded) {
  ModelBuilder b = inverted_residual("", false);
  std::vector<double> before = ranges(b.graph, "w1", 0);
  EqualizeOptions options;
  options.max_scale = 2;
  apply(b, options);
  std::vector<double> after = ranges(b.graph, "w1", 0);
  bool reached = false;
  for (size_t c = 0; c < before.size(); ++c) {
    EXPECT_LE(before[c] / after[c], 2 * (1 + 1e-5));
    EXPECT_GE(before[c] / after[c], 0.5 * (1 - 1e-5));
    reached = reached || before[c] / after[c] > 1.99 || before[c] / after[c] < 0.51;
  }
  EXPECT_TRUE(reached);
}

TEST(Equalize, WeightsBehindAChannelThatIsNeverPositiveBecomeZero) {
  ModelBuilder b = inverted_residual("", true);
  apply(b);
  EXPECT_EQ(ranges(b.graph, "w2", 0)[2], 0);
  EXPECT_LT(ranges(b.graph, "w2", 0)[5], 10) << "it was 200 times the others";
}

TEST(Equalize, TheClipOfOneBoundBecomesOneForEachChannel) {
  ModelBuilder b = inverted_residual("Clip", false);
  apply(b);
  EXPECT_EQ(test::count_nodes(b.graph, "Clip"), 0);
  EXPECT_EQ(test::count_nodes(b.graph, "Relu"), 2);
  EXPECT_EQ(test::count_nodes(b.graph, "Min"), 2);
}

TEST(Equalize, GemmPairsWithEveryShapeOfBias) {
  for (const Dims& bias : {Dims{6}, Dims{1, 6}, Dims{1}, Dims{}}) {
    for (int64_t transposed : {0, 1}) {
      ModelBuilder b;
      Tensor w1 = random_tensor(transposed != 0 ? Dims{6, 5} : Dims{5, 6}, 1);
      scale_channel(w1, transposed != 0 ? 0 : 1, 3, 100);
      b.input("x", {4, 5}).constant("w1", w1).random("w2", {6, 3}).random("b1", bias);
      b.node("Gemm", {"x", "w1", "b1"}, "g", {{"transB", transposed}}).node("Relu", {"g"}, "r");
      b.node("Gemm", {"r", "w2"}, "y").output({"y"});
      ASSERT_TRUE(infer_graph(b.graph).ok());
      Model before = b.model;
      Feeds feeds = {{"x", random_tensor({4, 5}, 2)}};
      // A bias that all channels share cannot be scaled for one of them.
      EXPECT_EQ(apply(b), elements_of(bias) == 6 ? 1 : 0);
      auto a = test::run_model(before, feeds, false);
      auto e = test::run_model(b.model, feeds, false);
      EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-5);
    }
  }
}

TEST(Equalize, LeavesSharedValuesAndOtherActivationsAlone) {
  ModelBuilder b;
  b.input("x", {1, 3, 4, 4}).random("w", {3, 3, 1, 1}).random("v", {3, 3, 1, 1});
  b.node("Conv", {"x", "w"}, "c1").node("Sigmoid", {"c1"}, "s").node("Conv", {"s", "v"}, "c2");
  b.node("Relu", {"c2"}, "r").random("u", {3, 3, 1, 1}).node("Conv", {"r", "u"}, "c3");
  b.node("Add", {"c3", "r"}, "y").output({"y"});  // r is read twice
  ASSERT_TRUE(infer_graph(b.graph).ok());
  EXPECT_EQ(apply(b), 0);
}

}  // namespace
}  // namespace fewbit
