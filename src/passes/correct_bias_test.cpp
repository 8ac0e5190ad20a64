#include "passes/correct_bias.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "calib/layer_statistics.h"
#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;

constexpr int64_t kBatches = 4;
constexpr int64_t kChannels = 6;

// Inputs with a mean far from zero: what a biased weight error shows itself by.
Result<Feeds> batch(int64_t index) {
  return Feeds{{"x", random_tensor({8, 4, 8, 8}, static_cast<uint64_t>(index) + 40, 0, 2)}};
}

struct Nets {
  ModelBuilder b;
  Model quantized;
  std::vector<QuantizedLayer> layers;
  InputMeans means;
};

// Means of the float network at every weight.
void measure_means(Nets& n) {
  Session session = test::session_of(n.b.model);
  for (NodeId id : n.b.graph.order()) {
    const Node& node = n.b.graph.node(id);
    if (!node.is("Conv")) continue;
    LayerStatistics statistics(*patch_geometry(n.b.graph, node), {});
    EXPECT_TRUE(session
                    .watch({n.b.graph.value(node.input(0)).name},
                           [&](const std::string&, const Tensor& t) { statistics.add(t); })
                    .ok());
    for (int64_t i = 0; i < kBatches; ++i) test::run(session, *batch(i));
    n.means[node.name] = statistics.means();
  }
}

// Two convolutions, the second one grouped; row 1 of each weight is off by three codes everywhere.
// The first bias keeps most values in front of the Relu positive: many zeros behind it would put
// many outputs on one number, and the rounding of that one to a code is no noise that averages out.
Nets spoiled_net() {
  Nets n;
  n.b.input("x", {8, 4, 8, 8}).random("w1", {kChannels, 4, 3, 3}).random("b1", {kChannels}, 10, 11);
  n.b.random("w2", {kChannels, 3, 1, 1}).random("b2", {kChannels});
  n.b.node("Conv", {"x", "w1", "b1"}, "c1").node("Relu", {"c1"}, "r");
  n.b.node("Conv", {"r", "w2", "b2"}, "y", {{"group", int64_t{2}}}).output({"y"});
  EXPECT_TRUE(infer_graph(n.b.graph).ok());
  QuantScheme scheme;
  auto q = quantize_graph(n.b.graph, place_quantizers(n.b.graph, scheme),
                          {{"x", {0, 2}}, {"r", {0, 30}}, {"y", {-40, 40}}}, scheme);
  EXPECT_TRUE(q.ok());
  n.quantized = n.b.model;
  n.quantized.graph = q->graph;
  n.layers = q->layers;
  for (const QuantizedLayer& layer : n.layers) {
    Value& codes = n.quantized.graph.value(layer.weight_codes);
    Tensor t = codes.constant->clone();
    int64_t elems = t.elements() / t.dim(0);
    for (int64_t k = elems; k < 2 * elems; ++k) {
      t.data<int8_t>()[k] = static_cast<int8_t>(std::min(t.data<int8_t>()[k] + 3, 127));
    }
    codes.constant = std::make_shared<const Tensor>(t);
  }
  measure_means(n);
  return n;
}

// Largest |mean error| over the output's channels.
double mean_error(const Nets& n) {
  std::vector<double> sums(kChannels, 0.0);
  int64_t count = 0;
  for (int64_t i = 0; i < kBatches; ++i) {
    Feeds feeds = *batch(i);
    Tensor a = test::run_model(n.b.model, feeds, true)[0].tensor();
    Tensor q = test::run_model(n.quantized, feeds, true)[0].tensor();
    int64_t pixels = a.dim(2) * a.dim(3);
    for (int64_t k = 0; k < a.elements(); ++k) {
      sums[static_cast<size_t>(k / pixels % kChannels)] += q.data<float>()[k] - a.data<float>()[k];
    }
    count += a.elements() / kChannels;
  }
  double worst = 0;
  for (double s : sums) worst = std::max(worst, std::abs(s) / static_cast<double>(count));
  return worst;
}

// An output code is 80 / 255 wide: rounding to it is noise of deviation 0.314 / sqrt(12), whose
// mean over 1152 positions has 0.0027. Four of that; the noise of the inner codes is corrected.
constexpr double kNoise = 0.011;

TEST(CorrectBias, EmpiricalCorrectionRemovesTheMeanError) {
  Nets n = spoiled_net();
  double before = mean_error(n);
  EXPECT_GT(before, 10 * kNoise);
  BatchSource batches{kBatches, batch};
  Status status = correct_bias(n.quantized, n.layers, n.means, &batches, 1);
  ASSERT_TRUE(status.ok()) << status.error().message();
  EXPECT_LT(mean_error(n), kNoise) << "before: " << before;
}

TEST(CorrectBias, AnalyticCorrectionRemovesTheWeightsPart) {
  Nets n = spoiled_net();
  double before = mean_error(n);
  ASSERT_TRUE(correct_bias(n.quantized, n.layers, n.means, nullptr, 1).ok());
  // The first layer's correction is exact in front of its Relu only.
  EXPECT_LT(mean_error(n), 0.2 * before);
}

TEST(CorrectBias, OnlyBiasCodesChange) {
  Nets n = spoiled_net();
  Graph before = n.quantized.graph;
  ASSERT_TRUE(correct_bias(n.quantized, n.layers, n.means, nullptr, 1).ok());
  int changed = 0;
  for (size_t i = 0; i < before.value_count(); ++i) {
    const Value& a = before.value(static_cast<ValueId>(i));
    const Value& b = n.quantized.graph.value(static_cast<ValueId>(i));
    ASSERT_EQ(a.is_constant(), b.is_constant());
    if (!a.is_constant() || a.constant->identical(*b.constant)) continue;
    ++changed;
    EXPECT_EQ(b.constant->type(), DType::kInt32) << b.name;
  }
  EXPECT_EQ(changed, 2);
}

}  // namespace
}  // namespace fewbit
