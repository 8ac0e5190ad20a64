#include "eval/compare.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "eval/channel_gains.h"
#include "eval/match_values.h"
#include "eval/test_models.h"
#include "graph/infer.h"

namespace fewbit {
namespace {

using test::Builder;
using test::data_of;
using test::Folder;

constexpr int64_t kWide = 8;

Tensor random_matrix(uint64_t seed, const std::vector<float>& row_gain = {},
                     const std::vector<float>& column_gain = {}) {
  std::vector<float> w(kWide * kWide);
  Random(seed).fill_normal(w, 0, 1);
  for (size_t i = 0; i < w.size(); ++i) {
    if (!row_gain.empty()) w[i] *= row_gain[i / kWide];
    if (!column_gain.empty()) w[i] *= column_gain[i % kWide];
  }
  return Tensor::from({kWide, kWide}, w);
}

// x -> MatMul -> Relu -> MatMul -> y
Model original() {
  return Builder()
      .input("x", {Dim::named("n"), Dim::of(kWide)})
      .constant("w1", random_matrix(1))
      .constant("w2", random_matrix(2))
      .node("MatMul", {"x", "w1"}, "h")
      .node("Relu", {"h"}, "r")
      .node("MatMul", {"r", "w2"}, "y")
      .output("y");
}

// The same with quantizers behind x and r, and the second weight times `factor`.
Model quantized(float x_scale, float r_scale, float factor) {
  auto zero = Tensor::scalar<uint8_t>(128);
  auto no_offset = Tensor::scalar<uint8_t>(0);
  return Builder()
      .input("x", {Dim::named("n"), Dim::of(kWide)})
      .constant("w1", random_matrix(1))
      .constant("w2", random_matrix(2, std::vector<float>(kWide, factor)))
      .constant("xs", Tensor::scalar(x_scale))
      .constant("xz", zero)
      .constant("rs", Tensor::scalar(r_scale))
      .constant("rz", no_offset)
      .node("QuantizeLinear", {"x", "xs", "xz"}, "x_QuantizeLinear_Output")
      .node("DequantizeLinear", {"x_QuantizeLinear_Output", "xs", "xz"},
            "x_DequantizeLinear_Output")
      .node("MatMul", {"x_DequantizeLinear_Output", "w1"}, "h")
      .node("Relu", {"h"}, "r")
      .node("QuantizeLinear", {"r", "rs", "rz"}, "codes")
      .node("DequantizeLinear", {"codes", "rs", "rz"}, "anything")
      .node("MatMul", {"anything", "w2"}, "y")
      .output("y");
}

Tensor samples(int64_t count) {
  std::vector<float> x(static_cast<size_t>(count * kWide));
  Random(5).fill_uniform(x, -1, 1);
  return Tensor::from({count, kWide}, x);
}

const LayerComparison& layer(const Comparison& found, const std::string& name) {
  for (const LayerComparison& l : found.layers) {
    if (l.name == name) return l;
  }
  ADD_FAILURE() << "no layer " << name;
  return found.layers.front();
}

TEST(MatchValues, FindsValuesBehindTheirQuantizers) {
  Model plain = original();
  ASSERT_TRUE(infer_graph(plain.graph).ok());
  const auto matches = match_values(plain.graph, quantized(0.01F, 0.05F, 1).graph);
  ASSERT_EQ(matches.size(), 3U);  // not h, which only the activation reads
  EXPECT_EQ(matches[0].float_name, "x");
  EXPECT_EQ(matches[0].quantized_name, "x_DequantizeLinear_Output");
  EXPECT_EQ(matches[1].float_name, "r");
  EXPECT_EQ(matches[1].quantized_name, "anything");
  EXPECT_EQ(matches[2].float_name, "y");
  EXPECT_EQ(matches[2].quantized_name, "y");

  const Piece piece = cut_piece(plain, "r", {"x", "r", "y"});
  EXPECT_EQ(piece.inputs, std::vector<std::string>{"x"});
  EXPECT_EQ(piece.model.graph.node_count(), 2U);
  EXPECT_EQ(piece.name, "node_h");
  EXPECT_EQ(piece.op, "MatMul");
}

TEST(Compare, TellsBornErrorFromInheritedError) {
  const Folder folder;
  const DataSet data = data_of(folder, samples(40), {});
  // The input is coarse (steps of 1/8 on [-1, 1]), the layer behind it fine, the last one 10 % off.
  auto found = compare(original(), quantized(0.125F, 0.05F, 1.1F), data, {});
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->samples, 40);
  ASSERT_EQ(found->layers.size(), 3U);
  // Uniform values against steps of s: signal 1/3, noise s^2 / 12: 24.1 dB. 320 values: the mean
  // squares of both have a standard deviation of 5 %, five of them in each are 1.9 dB.
  const LayerComparison& x = layer(*found, "x");
  EXPECT_EQ(x.op, "input");
  EXPECT_NEAR(x.own_sqnr_db, 10 * std::log10(4 / (0.125 * 0.125)), 1.9);
  EXPECT_EQ(x.own_sqnr_db, x.sqnr_db);
  // Born in the first layer: a step of 0.05 on values of variance up to 8/3; inherited: the
  // input's.
  const LayerComparison& hidden = layer(*found, "node_h");
  EXPECT_GT(hidden.own_sqnr_db, 35);
  EXPECT_LT(hidden.sqnr_db, 28);
  // 1.1 W against W: exactly 20 dB but for rounding.
  const LayerComparison& last = layer(*found, "node_y");
  EXPECT_NEAR(last.own_sqnr_db, 20, 1e-3);
  EXPECT_LT(last.sqnr_db, 20);
  EXPECT_FALSE(last.rescaled);
  EXPECT_EQ(found->layers.front().name, "node_y");  // worst first
  ASSERT_EQ(found->outputs.size(), 1U);
  EXPECT_EQ(found->outputs[0].name, "y");
  EXPECT_EQ(found->outputs[0].sqnr_db, last.sqnr_db);
}

TEST(Compare, TakesOutTheGainsOfEqualization) {
  const Folder folder;
  const DataSet data = data_of(folder, samples(40), {});
  const std::vector<float> gains = {0.25F, 4, 1, 2, 0.5F, 8, 1, 0.125F};  // powers of two: exact
  std::vector<float> inverse;
  for (float g : gains) inverse.push_back(1 / g);
  const Model equalized = Builder()
                              .input("x", {Dim::named("n"), Dim::of(kWide)})
                              .constant("w1", random_matrix(1, {}, gains))
                              .constant("w2", random_matrix(2, inverse))
                              .node("MatMul", {"x", "w1"}, "h")
                              .node("Relu", {"h"}, "r")
                              .node("MatMul", {"r", "w2"}, "y")
                              .output("y");
  auto found = compare(original(), equalized, data, {});
  ASSERT_TRUE(found.ok()) << found.error().message();
  const LayerComparison& hidden = layer(*found, "node_h");
  EXPECT_TRUE(hidden.rescaled);
  EXPECT_GT(hidden.sqnr_db, 100);
  EXPECT_GT(hidden.own_sqnr_db, 100);
  EXPECT_FALSE(layer(*found, "node_y").rescaled);
  EXPECT_GT(layer(*found, "node_y").own_sqnr_db, 100);
}

TEST(Compare, NoiseIsNoGain) {
  Random random(7);
  std::vector<float> f(64 * 4 * 10), q(f.size());
  random.fill_normal(f, 0, 1);
  for (size_t i = 0; i < f.size(); ++i) q[i] = f[i] + 0.5F * static_cast<float>(random.normal());
  ChannelGains fit;
  fit.add(Tensor::from({64, 4, 10}, f), Tensor::from({64, 4, 10}, q));
  EXPECT_TRUE(fit.found().empty());
  // One channel lost altogether is an error, not a gain.
  for (size_t i = 0; i < f.size(); ++i) q[i] = (i / 10) % 4 == 0 ? 0.0F : f[i];
  ChannelGains lost;
  lost.add(Tensor::from({64, 4, 10}, f), Tensor::from({64, 4, 10}, q));
  EXPECT_TRUE(lost.found().empty());
}

TEST(Compare, RefusesModelsWithoutCommonValues) {
  const Folder folder;
  const DataSet data = data_of(folder, samples(2), {});
  const Model other =
      Builder().input("a", {Dim::named("n"), Dim::of(kWide)}).node("Relu", {"a"}, "b").output("b");
  auto found = compare(original(), other, data, {});
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message().find("no value in common"), std::string::npos);
}

}  // namespace
}  // namespace fewbit
