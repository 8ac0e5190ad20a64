#include "report/quantize_report.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "base/text.h"

namespace fewbit {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

QuantizeReport sample() {
  QuantizeReport r;
  r.input = "in.onnx";
  r.output = "out.onnx";
  r.scheme = "w8a8";
  r.passes = {{"fold_batch_norm", "", true, 3, 0.01, 2e-7, {}},
              {"absorb_bias", "", false, 1, 0.01, 3e-3, {"a -> b: why"}}};
  for (int i = 0; i < 20; ++i) {
    LayerReport l;
    l.name = "layer" + std::to_string(i);
    l.op_type = "Conv";
    l.scheme = "w8a8";
    l.integer = true;
    l.measured = true;
    l.own_sqnr_db = 20 + i;
    l.output_sqnr_db = 20;
    l.weight_sqnr_db = 40;
    r.layers.push_back(l);
  }
  r.layers[7].own_sqnr_db = -3;
  LayerReport exact;
  exact.name = "exact";
  exact.scheme = "a8";
  exact.integer = true;
  exact.measured = true;
  exact.weight_sqnr_db = exact.output_sqnr_db = exact.own_sqnr_db = kInf;
  exact.cosine = std::numeric_limits<double>::quiet_NaN();
  r.layers.push_back(exact);
  LayerReport left;
  left.name = "head";
  left.op_type = "Softmax";
  left.scheme = "float";
  left.reason = "kept in float";
  r.layers.push_back(left);
  r.output_sqnr_db = kInf;
  r.verify_samples = 32;
  r.accuracy = AccuracyReport{1000, true, 70, 67, 73, 90};
  r.float_accuracy = AccuracyReport{1000, true, 70.5, 67.5, 73.5, 90.5};
  r.float_bytes = 4000;
  r.bytes = 1000;
  return r;
}

TEST(QuantizeReport, JsonHoldsEverythingAndNoInfinity) {
  QuantizeReport r = sample();
  std::string text = to_json(r);
  EXPECT_EQ(text.find("inf"), std::string::npos);
  EXPECT_EQ(text.find("nan"), std::string::npos);
  auto j = nlohmann::json::parse(text, nullptr, false);
  ASSERT_FALSE(j.is_discarded());
  EXPECT_EQ(j["scheme"], "w8a8");
  EXPECT_EQ(j["layers"].size(), r.layers.size());
  EXPECT_EQ(j["layers"][7]["own_sqnr_db"], -3);
  EXPECT_TRUE(j["layers"][20]["output_sqnr_db"].is_null());
  EXPECT_TRUE(j["layers"][20]["cosine"].is_null());
  EXPECT_TRUE(j["output_sqnr_db"].is_null());
  EXPECT_EQ(j["fallbacks"], 1);
  EXPECT_EQ(j["integer_layers"], 21);
  EXPECT_EQ(j["accuracy"]["top1"], 70);
  EXPECT_EQ(j["passes"][0]["changed"], 3);
  r.accuracy.reset();
  EXPECT_FALSE(nlohmann::json::parse(to_json(r)).contains("accuracy"));
}

TEST(QuantizeReport, JsonOfNamesWithQuotesAndBytesThatAreNoUtf8) {
  QuantizeReport r = sample();
  r.input = "a \"quoted\"\\path\n\xff\xfe.onnx";
  auto j = nlohmann::json::parse(to_json(r), nullptr, false);
  ASSERT_FALSE(j.is_discarded());
  EXPECT_EQ(j["input"].get<std::string>().substr(0, 16), "a \"quoted\"\\path\n");
}

TEST(QuantizeReport, TableShowsTheWorstFirstAndFitsTheTerminal) {
  QuantizeReport r = sample();
  std::string text = to_table(r, 80);
  size_t worst = text.find("layer7 ");
  ASSERT_NE(worst, std::string::npos);
  EXPECT_LT(worst, text.find("layer0 "));
  EXPECT_EQ(text.find("layer19 "), std::string::npos) << "only the worst are shown";
  EXPECT_NE(text.find("kept in float"), std::string::npos);
  EXPECT_NE(text.find("4.00x smaller"), std::string::npos);
  EXPECT_NE(text.find("outputs exact dB"), std::string::npos) << text;
  EXPECT_EQ(text.find("inf"), std::string::npos);
}

TEST(QuantizeReport, WeightsInFewBitsAreCountedWithTheirScales) {
  QuantizeReport r;
  r.scheme = "int4/g32";
  r.weight_only = true;
  LayerReport packed;
  packed.name = "packed";
  packed.packed = true;
  packed.float_bytes = 4 * 1024;
  packed.bytes = 576;
  LayerReport kept;
  kept.name = "kept";
  kept.reason = "its weight is no matrix";
  r.layers = {packed, packed, kept};
  EXPECT_EQ(r.packed_layers(), 2);
  EXPECT_EQ(r.fallbacks(), 1);
  EXPECT_DOUBLE_EQ(r.packed_bits_per_weight(), 4.5);
  const std::string text = to_table(r, 100);
  EXPECT_NE(text.find("weights of 2 layers in 4.500 bits each, 2 decoded to float32"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("its weight is no matrix"), std::string::npos) << text;
  EXPECT_EQ(text.find("outputs"), std::string::npos) << "nothing was measured";
}

}  // namespace
}  // namespace fewbit
