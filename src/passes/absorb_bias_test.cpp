#include "passes/absorb_bias.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;
using Ints = std::vector<int64_t>;

// Inputs in [-1, 1] and weights of deviation 1/2 on 3 channels: |W x| stays below 1.5. Channels 1
// and 3 have a bias of 8, far above three deviations; 0 and 2 have values on both sides of zero.
enum class Between { kRelu, kClip, kBound };
ModelBuilder network(Between between, Ints pads = {0, 0, 0, 0}, bool biases = true) {
  ModelBuilder b;
  b.input("x", {4, 3, 8, 8}).random("w1", {4, 3, 1, 1}, -0.5F, 0.5F).random("w2", {5, 4, 3, 3});
  b.constant("b1", Tensor::from({4}, std::vector<float>{0, 8, 0.1F, 8})).random("b2", {5});
  b.node("Conv", {"x", "w1", "b1"}, "c1");
  if (between == Between::kClip) {
    b.constant("zero", Tensor::scalar(0.0F)).constant("top", Tensor::scalar(8.2F));
    b.node("Clip", {"c1", "zero", "top"}, "r");
  } else if (between == Between::kBound) {
    b.constant("bound", Tensor::from({1, 4, 1, 1}, std::vector<float>{1, 8.2F, 0.3F, 9}));
    b.node("Relu", {"c1"}, "rectified").node("Min", {"rectified", "bound"}, "r");
  } else {
    b.node("Relu", {"c1"}, "r");
  }
  test::Names inputs = {"r", "w2"};
  if (biases) inputs.emplace_back("b2");
  b.node("Conv", inputs, "y", {{"pads", std::move(pads)}}).output({"y"});
  EXPECT_TRUE(infer_graph(b.graph).ok());
  return b;
}

Result<Feeds> batch(int64_t index) {
  return Feeds{{"x", random_tensor({4, 3, 8, 8}, static_cast<uint64_t>(index) + 3)}};
}

Absorbed apply(Model& model) {
  AbsorbOptions options;
  options.threads = 1;
  auto absorbed = absorb_bias(model, {2, batch}, options);
  EXPECT_TRUE(absorbed.ok()) << (absorbed.ok() ? "" : absorbed.error().message());
  EXPECT_TRUE(infer_graph(model.graph).ok());
  return absorbed.ok() ? *absorbed : Absorbed{};
}

// Largest value of each channel of `name` on one batch.
std::vector<float> tops(const Model& model, const std::string& name) {
  std::vector<float> out(4, 0.0F);
  Session session = test::session_of(model);
  EXPECT_TRUE(session
                  .watch({name},
                         [&](const std::string&, const Tensor& t) {
                           for (int64_t i = 0; i < t.elements(); ++i) {
                             float& top = out[static_cast<size_t>(i / 64 % 4)];
                             top = std::max(top, t.data<float>()[i]);
                           }
                         })
                  .ok());
  test::run(session, *batch(0));
  return out;
}

TEST(AbsorbBias, ExactWhereEveryValueLiesAboveTheBoundAndRangesShrink) {
  for (Between between : {Between::kRelu, Between::kClip, Between::kBound}) {
    for (bool biases : {true, false}) {
      ModelBuilder b = network(between, {0, 0, 0, 0}, biases);
      Model before = b.model;
      Absorbed absorbed = apply(b.model);
      EXPECT_EQ(absorbed.pairs, 1);
      EXPECT_EQ(absorbed.channels, 2);
      EXPECT_TRUE(absorbed.left_alone.empty());
      auto a = test::run_model(before, *batch(0), false);
      auto e = test::run_model(b.model, *batch(0), false);
      EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-5);
      std::vector<float> old_tops = tops(before, "r");
      std::vector<float> new_tops = tops(b.model, "r");
      for (size_t c : {1U, 3U}) EXPECT_LT(new_tops[c], old_tops[c] / 2) << c;
      for (size_t c : {0U, 2U}) EXPECT_FLOAT_EQ(new_tops[c], old_tops[c]) << c;
    }
  }
}

TEST(AbsorbBias, ABoundBelowTheAbsorbedPartTakesItsPlace) {
  ModelBuilder b = network(Between::kClip);
  // Every value of channel 1 lies above the bound: the channel is the constant 8.2.
  Tensor bias = Tensor::from({4}, std::vector<float>{0, 30, 0, 8});
  b.graph.value(b.graph.find_value("b1")).constant = std::make_shared<const Tensor>(bias);
  Model before = b.model;
  EXPECT_EQ(apply(b.model).channels, 2);
  EXPECT_EQ(tops(b.model, "r")[1], 0);
  auto a = test::run_model(before, *batch(1), false);
  auto e = test::run_model(b.model, *batch(1), false);
  EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-5);
}

TEST(AbsorbBias, GroupsAndProducts) {
  ModelBuilder b;
  b.input("x", {4, 3, 8, 8}).random("w1", {4, 3, 1, 1}).random("w2", {4, 2, 1, 1});
  b.constant("b1", Tensor::from({4}, std::vector<float>{0, 8, 0.1F, 8}));
  b.node("Conv", {"x", "w1", "b1"}, "c1").node("Relu", {"c1"}, "r1");
  b.node("Conv", {"r1", "w2"}, "c2", {{"group", int64_t{2}}})
      .node("GlobalAveragePool", {"c2"}, "p");
  b.node("Flatten", {"p"}, "f").random("w3", {4, 6}).random("w4", {3, 6});
  b.constant("b3", Tensor::from({1, 6}, std::vector<float>{50, 0, 50, 0, 50, 0}));
  b.node("Gemm", {"f", "w3", "b3"}, "g1").node("Relu", {"g1"}, "r2");
  b.node("Gemm", {"r2", "w4"}, "y", {{"transB", int64_t{1}}}).output({"y"});
  ASSERT_TRUE(infer_graph(b.graph).ok());
  Model before = b.model;
  Absorbed absorbed = apply(b.model);
  EXPECT_EQ(absorbed.pairs, 2);
  EXPECT_GE(absorbed.channels, 5);
  auto a = test::run_model(before, *batch(0), false);
  auto e = test::run_model(b.model, *batch(0), false);
  // Rows 1 and 3 of the Gemm may be above or below zero; nothing of them is cut here.
  EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-4);
}

TEST(AbsorbBias, LeavesPaddedAndUnrectifiedPairsAloneAndSaysWhy) {
  ModelBuilder padded = network(Between::kRelu, {1, 1, 1, 1});
  Model before = padded.model;
  Absorbed absorbed = apply(padded.model);
  EXPECT_EQ(absorbed.pairs, 0);
  EXPECT_EQ(
      absorbed.left_alone,
      std::vector<std::string>{"node_c1 -> node_y: the second one pads its input with zeros"});
  EXPECT_TRUE(padded.graph.constant(padded.graph.find_value("b1"))
                  ->identical(*before.graph.constant(before.graph.find_value("b1"))));

  ModelBuilder plain;
  plain.input("x", {4, 3, 8, 8}).random("w1", {4, 3, 1, 1}).random("w2", {5, 4, 1, 1});
  plain.node("Conv", {"x", "w1"}, "c1").node("Conv", {"c1", "w2"}, "y").output({"y"});
  ASSERT_TRUE(infer_graph(plain.graph).ok());
  EXPECT_EQ(apply(plain.model).left_alone,
            std::vector<std::string>{"node_c1 -> node_y: no Relu or Clip stands between them"});
}

}  // namespace
}  // namespace fewbit
