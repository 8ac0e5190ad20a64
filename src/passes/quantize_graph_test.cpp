#include "passes/quantize_graph.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;

constexpr DType kTypes[] = {DType::kUint8, DType::kInt8, DType::kUint16, DType::kInt16};

TEST(ParamsFor, CoverTheRangeWithAnExactZero) {
  const Range ranges[] = {{-1, 3}, {0, 6}, {-5, 0}, {-1e-3F, 1e4F}, {2, 7}, {-7, -2}};
  for (DType type : kTypes) {
    auto [low, high] = code_range(type);
    for (const Range& r : ranges) {
      for (bool symmetric : {false, true}) {
        QuantParams p = params_for(r, type, symmetric);
        ASSERT_EQ(p.scale.size(), 1U);
        ASSERT_EQ(p.zero.size(), 1U);
        EXPECT_EQ(p.type, type);
        // Zero has a code, so it is exact; the ends are at most half a step outside.
        EXPECT_GE(p.zero[0], low);
        EXPECT_LE(p.zero[0], high);
        double s = p.scale[0];
        EXPECT_LE(s * (low - p.zero[0]), std::min(r.low, 0.0F) + 0.501 * s) << r.low;
        EXPECT_GE(s * (high - p.zero[0]), std::max(r.high, 0.0F) - 0.501 * s) << r.high;
        // No wider than needed.
        double width = symmetric ? 2 * std::max(std::abs(r.low), std::abs(r.high))
                                 : std::max(r.high, 0.0F) - std::min(r.low, 0.0F);
        EXPECT_LE(s * (high - low), width * (1 + 3.0 / (high - low)));
      }
    }
  }
}

TEST(ParamsFor, SymmetricOnesHaveTheirZeroInTheMiddle) {
  EXPECT_EQ(params_for({-1, 3}, DType::kInt8, true).zero[0], 0);
  EXPECT_EQ(params_for({-1, 3}, DType::kUint8, true).zero[0], 128);
  EXPECT_EQ(params_for({-1, 3}, DType::kUint16, true).zero[0], 32768);
  EXPECT_FLOAT_EQ(params_for({-1, 3}, DType::kInt8, true).scale[0], 3.0F / 127);
}

TEST(ParamsFor, NoRangeGivesAScaleOfZero) {
  constexpr float kTiny = std::numeric_limits<float>::denorm_min();
  for (const Range& r :
       {Range{0, 0}, Range{kTiny, kTiny}, Range{-kTiny, kTiny}, Range{-0.0F, 0.0F}}) {
    for (DType type : kTypes) {
      for (bool symmetric : {false, true}) {
        QuantParams p = params_for(r, type, symmetric);
        EXPECT_GT(p.scale[0], 0);
        EXPECT_TRUE(std::isfinite(p.scale[0]));
      }
    }
  }
  constexpr float kMax = std::numeric_limits<float>::max();
  EXPECT_TRUE(std::isfinite(params_for({-kMax, kMax}, DType::kUint8, false).scale[0]));
}

struct Net {
  ModelBuilder b;
  Ranges ranges;
  QuantScheme scheme;

  Result<QuantizedGraph> quantize() {
    EXPECT_TRUE(infer_graph(b.graph).ok());
    return quantize_graph(b.graph, place_quantizers(b.graph, scheme), ranges, scheme);
  }
};

Net conv_net() {
  Net n;
  n.b.input("x", {1, 4, 6, 6})
      .random("w1", {8, 4, 3, 3})
      .random("b1", {8})
      .random("w2", {3, 8, 1, 1});
  n.b.node("Conv", {"x", "w1", "b1"}, "c").node("Relu", {"c"}, "r");
  n.b.node("Conv", {"r", "w2"}, "y").output({"y"});
  n.ranges = {{"x", {-2, 2}}, {"r", {0, 24}}, {"y", {-60, 60}}};
  return n;
}

TEST(QuantizeGraph, TheResultRunsNearTheFloatNetwork) {
  for (const char* scheme : {"w8a8", "w8a8:tensor", "w8a16", "w8"}) {
    Net n = conv_net();
    n.scheme = *parse_scheme(scheme);
    auto q = n.quantize();
    ASSERT_TRUE(q.ok()) << q.error().message();
    Model model = n.b.model;
    model.graph = q->graph;
    for (NodeId id : model.graph.order()) {
      if (scheme == std::string("w8a16")) model.graph.node(id).opset = 21;  // 16-bit codes
    }
    Feeds feeds = {{"x", random_tensor({1, 4, 6, 6}, 3, -2, 2)}};
    auto reference = test::run_model(n.b.model, feeds, false);
    auto outputs = test::run_model(model, feeds, false);
    ASSERT_EQ(outputs.size(), 1U);
    EXPECT_LE(test::relative_difference(reference[0].tensor(), outputs[0].tensor()), 0.03)
        << scheme;
    EXPECT_EQ(model.graph.value(model.graph.outputs[0]).name, "y");
    ASSERT_EQ(q->layers.size(), 2U);
    EXPECT_GT(q->layers[0].weight_sqnr_db, 35);
    EXPECT_EQ(q->layers[0].weight_scale.size(), scheme == std::string("w8a8:tensor") ? 1U : 8U);
    EXPECT_EQ(q->layers[0].input, "x");
    EXPECT_EQ(q->layers[1].input, "r");
  }
}

TEST(QuantizeGraph, ReluGoesWhereTheCodesCannotBeNegative) {
  Net n = conv_net();
  EXPECT_EQ(test::count_nodes(n.quantize()->graph, "Relu"), 0);
  Net symmetric = conv_net();
  symmetric.scheme.activation_symmetric = true;
  EXPECT_EQ(test::count_nodes(symmetric.quantize()->graph, "Relu"), 1);
}

TEST(QuantizeGraph, ABiasThatWouldOverflowRaisesTheScaleOfItsRow) {
  for (Granularity granularity : {Granularity::kChannel, Granularity::kTensor}) {
    Net n = conv_net();
    n.scheme.weight_granularity = granularity;
    Tensor w = random_tensor({8, 4, 3, 3}, 4);
    for (int64_t i = 0; i < 36; ++i) w.data<float>()[2 * 36 + i] *= 1e-9F;
    if (granularity == Granularity::kTensor) {
      for (float& v : w.span<float>()) v *= 1e-9F;
    }
    Tensor bias = random_tensor({8}, 5);
    bias.data<float>()[2] = 700;
    n.b.graph.value(n.b.graph.find_value("w1")).constant = std::make_shared<const Tensor>(w);
    n.b.graph.value(n.b.graph.find_value("b1")).constant = std::make_shared<const Tensor>(bias);
    auto q = n.quantize();
    ASSERT_TRUE(q.ok());
    const QuantizedLayer& layer = q->layers[0];
    const Tensor& codes = *q->graph.constant(layer.bias_codes);
    for (int64_t c = 0; c < 8; ++c) {
      double scale =
          static_cast<double>(layer.input_params.scale[0]) *
          layer.weight_scale[layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(c)];
      EXPECT_NEAR(codes.data<int32_t>()[c] * scale, bias.data<float>()[c],
                  0.51 * scale + 1e-6 * std::abs(bias.data<float>()[c]))
          << c;
    }
    // The report tells what the larger scale costs.
    const Tensor& weight = *q->graph.constant(layer.weight_codes);
    double error = 0;
    double signal = 0;
    for (int64_t i = 0; i < w.elements(); ++i) {
      auto row = layer.weight_scale.size() == 1 ? 0 : static_cast<size_t>(i / 36);
      double v = static_cast<double>(layer.weight_scale[row]) * weight.data<int8_t>()[i];
      error += (v - w.data<float>()[i]) * (v - w.data<float>()[i]);
      signal += static_cast<double>(w.data<float>()[i]) * w.data<float>()[i];
    }
    EXPECT_NEAR(layer.weight_sqnr_db, 10 * std::log10(signal / error), 1e-3);
  }
}

TEST(QuantizeGraph, WeightsAndBiasesThatAreNoNumbersAreRefusedByName) {
  for (const char* name : {"w1", "b1"}) {
    for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      Net n = conv_net();
      Value& v = n.b.graph.value(n.b.graph.find_value(name));
      Tensor t = v.constant->clone();
      t.data<float>()[3] = bad;
      v.constant = std::make_shared<const Tensor>(t);
      auto q = n.quantize();
      ASSERT_FALSE(q.ok());
      EXPECT_NE(q.error().message().find(fmt::format("'{}'", name)), std::string::npos);
      EXPECT_NE(q.error().message().find("node_c"), std::string::npos) << q.error().message();
    }
  }
}

TEST(QuantizeGraph, AValueWithoutARangeIsNamed) {
  Net n = conv_net();
  n.ranges.erase("r");
  auto q = n.quantize();
  ASSERT_FALSE(q.ok());
  EXPECT_NE(q.error().message().find("'r'"), std::string::npos);
}

TEST(QuantizeGraph, GemmBothWaysRoundAndMatMul) {
  for (const char* op : {"MatMul", "Gemm", "GemmT"}) {
    bool transposed = std::string(op) == "GemmT";
    Net n;
    n.b.input("x", {5, 12}).random("w", transposed ? Dims{7, 12} : Dims{12, 7}).random("c", {7});
    if (std::string(op) == "MatMul") {
      n.b.node("MatMul", {"x", "w"}, "y");
    } else {
      n.b.node("Gemm", {"x", "w", "c"}, "y", {{"transB", int64_t{transposed ? 1 : 0}}});
    }
    n.b.output({"y"});
    n.ranges = {{"x", {-1, 1}}};
    auto q = n.quantize();
    ASSERT_TRUE(q.ok()) << q.error().message();
    EXPECT_EQ(q->layers[0].rows, 7);
    Model model = n.b.model;
    model.graph = q->graph;
    Feeds feeds = {{"x", random_tensor({5, 12}, 3)}};
    auto reference = test::run_model(n.b.model, feeds, false);
    auto outputs = test::run_model(model, feeds, false);
    EXPECT_LE(test::relative_difference(reference[0].tensor(), outputs[0].tensor()), 0.02) << op;
    test::expect_same_optimized(model, feeds, 1e-5);
  }
}

}  // namespace
}  // namespace fewbit
