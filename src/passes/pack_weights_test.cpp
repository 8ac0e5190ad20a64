#include "passes/pack_weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "graph/infer.h"
#include "graph/test_graph.h"
#include "passes/export_onnx.h"
#include "runtime/packed_weight.h"
#include "runtime/session.h"

namespace fewbit {
namespace {

using testing::TestGraph;

Tensor random_tensor(const Dims& dims, uint64_t seed) {
  Tensor t = Tensor::uninitialized(DType::kFloat32, dims);
  Random(seed).fill_normal(t.span<float>(), 0, 0.3F);
  return t;
}

// Every kind of layer that has weights, each with its own output. Rows of 36, 40, 24, 40 and 40
// weights: ragged for groups of 32.
Model all_layers() {
  TestGraph g;
  const auto weight = [&](const char* name, const Dims& dims) {
    return g.graph.add_constant(name, random_tensor(dims, dims.size() + name[0]));
  };
  const ValueId image = g.input("image", {1, 8, 6, 6});
  const ValueId rows = g.input("rows", {9, 40});  // too many for products on codes in float32
  const ValueId batch = g.input("batch", {2, 3, 24});
  const ValueId ids = g.input("ids", {5}, DType::kInt64);
  const ValueId embedding = weight("embedding", {16, 40});
  g.graph.outputs = {
      g.node("Conv", {image, weight("conv", {10, 4, 3, 3})}, {{"group", int64_t{2}}}),
      g.node("MatMul", {rows, weight("matmul", {40, 12})}),
      g.node("MatMul", {batch, weight("batched", {2, 24, 7})}),
      g.node("Gather", {embedding, ids}),
      g.node("Gemm", {rows, embedding}, {{"transB", int64_t{1}}}),
      g.node("Gemm", {rows, weight("gemm", {40, 9}), weight("bias", {9})}),
  };
  int number = 0;
  for (const NodeId id : g.graph.order()) {
    g.graph.node(id).name = fmt::format("layer{}", number++);
  }
  g.model.opsets[""] = 21;
  return std::move(g.model);
}

std::vector<Tensor> run(const Model& model) {
  Result<Session> session = Session::create(model, {});
  EXPECT_TRUE(session.ok()) << (session.ok() ? "" : session.error().message());
  const std::vector<int64_t> ids = {0, 15, 3, 3, 7};
  const auto out = session->run({{"image", random_tensor({1, 8, 6, 6}, 1)},
                                 {"rows", random_tensor({9, 40}, 2)},
                                 {"batch", random_tensor({2, 3, 24}, 3)},
                                 {"ids", Tensor::from({5}, ids)}});
  EXPECT_TRUE(out.ok()) << (out.ok() ? "" : out.error().message());
  std::vector<Tensor> tensors;
  for (const RuntimeValue& v : *out) tensors.push_back(v.tensor().clone());
  return tensors;
}

std::vector<PackedLayer> pack(Model& model, const char* format) {
  PackOptions options;
  options.format = *parse_format(format);
  Result<std::vector<PackedLayer>> layers = pack_weights(model.graph, options);
  EXPECT_TRUE(layers.ok()) << (layers.ok() ? "" : layers.error().message());
  model.opsets["ai.fewbit"] = 1;
  EXPECT_TRUE(infer_graph(model.graph).ok());
  return *layers;
}

double largest_difference(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (int64_t k = 0; k < a[i].elements(); ++k) {
      largest = std::max(
          largest, std::abs(static_cast<double>(a[i].data<float>()[k]) - b[i].data<float>()[k]));
    }
  }
  return largest;
}

TEST(PackWeights, EveryLayerGivesNearlyWhatItGave) {
  Model model = all_layers();
  const std::vector<Tensor> before = run(model);
  const std::vector<PackedLayer> layers = pack(model, "int8/g32");
  ASSERT_EQ(layers.size(), 6U);
  const std::vector<std::pair<int64_t, int64_t>> matrices = {{10, 36}, {12, 40}, {14, 24},
                                                             {16, 40}, {16, 40}, {9, 40}};
  for (size_t i = 0; i < layers.size(); ++i) {
    EXPECT_TRUE(layers[i].packed()) << layers[i].reason;
    EXPECT_EQ(std::pair(layers[i].rows, layers[i].cols), matrices[i]) << layers[i].name;
    EXPECT_GT(layers[i].sqnr_db, 40);
  }
  EXPECT_LT(largest_difference(before, run(model)), 0.05);
  EXPECT_GT(largest_difference(before, run(model)), 0);
}

TEST(PackWeights, SharedWeightsArePackedOnce) {
  Model model = all_layers();
  const std::vector<PackedLayer> layers = pack(model, "int4/g32");
  int decodes = 0;
  for (const NodeId id : model.graph.order()) decodes += is_decode(model.graph.node(id)) ? 1 : 0;
  EXPECT_EQ(decodes, 5);  // the embedding is the weight of a Gemm, too
  EXPECT_EQ(layers[3].weight, "embedding");
  EXPECT_GT(layers[3].bytes, 0);
  EXPECT_EQ(layers[4].bytes, 0);
  EXPECT_TRUE(layers[4].packed());
}

TEST(PackWeights, SaysWhatStaysInFloatAndWhy) {
  Model model = all_layers();
  Tensor huge = random_tensor({40, 12}, 9);
  huge.data<float>()[5] = 1e9F;
  const ValueId weight = model.graph.find_value("matmul");
  model.graph.value(weight).constant = std::make_shared<const Tensor>(huge);
  PackOptions options;
  options.format = *parse_format("int4/g32:f16");
  options.float_layers = {"layer0"};
  const auto layers = pack_weights(model.graph, options);
  ASSERT_TRUE(layers.ok());
  EXPECT_EQ((*layers)[0].reason, "left in float by the recipe");
  EXPECT_NE((*layers)[1].reason.find("more than f16 holds"), std::string::npos);
  EXPECT_EQ((*layers)[1].bytes, (*layers)[1].float_bytes);
  EXPECT_TRUE((*layers)[2].packed());
  run(model);
}

TEST(PackWeights, NaNIsAnError) {
  Model model = all_layers();
  Tensor bad = random_tensor({40, 12}, 9);
  bad.data<float>()[7] = NAN;
  model.graph.value(model.graph.find_value("matmul")).constant =
      std::make_shared<const Tensor>(bad);
  PackOptions options;
  options.format = *parse_format("int4");
  const auto layers = pack_weights(model.graph, options);
  ASSERT_FALSE(layers.ok());
  EXPECT_NE(layers.error().message().find("'matmul'"), std::string::npos);
}

TEST(PackWeights, ImportanceIsHeeded) {
  const auto error_of_first_column = [](bool important) {
    Model model = all_layers();
    PackOptions options;
    options.format = *parse_format("int2/channel");
    if (important) {
      options.importance["layer1"] = std::vector<float>(40, 0.01F);
      options.importance["layer1"][0] = 100;
    }
    EXPECT_TRUE(pack_weights(model.graph, options).ok());
    const Tensor before = random_tensor({40, 12}, 2 + 'm');
    double sum = 0;
    for (const NodeId id : model.graph.order()) {
      const Node& node = model.graph.node(id);
      if (!is_decode(node) || node.get_int("rows", 0) != 12) continue;
      const std::vector<float> decoded = decode(*packed_matrix(model.graph, node));
      for (size_t n = 0; n < 12; ++n) sum += std::pow(decoded[n * 40] - before.data<float>()[n], 2);
    }
    return sum;
  };
  EXPECT_LT(error_of_first_column(true), 0.5 * error_of_first_column(false));
}

// Products with int8 activations: the kernels read the codes, nothing is decoded, and the answer is
// that of the decoded weights but for the rounding of activations.
TEST(PackWeights, MarkedProductsRunOnCodes) {
  for (const char* format : {"int4/g32", "uint4/g16", "int8/channel", "q4_K", "ternary"}) {
    Model plain = all_layers();
    pack(plain, format);
    Model model = all_layers();
    PackOptions options;
    options.format = *parse_format(format);
    options.int8_activations = true;
    const auto layers = pack_weights(model.graph, options);
    ASSERT_TRUE(layers.ok());
    model.opsets["ai.fewbit"] = 1;
    // The plain MatMul, and both Gemms; not Conv, Gather, or the batched MatMul.
    int on_codes = 0;
    for (const PackedLayer& layer : *layers) {
      on_codes += layer.on_codes ? 1 : 0;
      EXPECT_EQ(layer.on_codes, layer.note.empty()) << layer.name;
    }
    EXPECT_EQ(on_codes, 3) << format;
    const std::vector<Tensor> wanted = run(plain);
    const std::vector<Tensor> found = run(model);
    const double difference = largest_difference(wanted, found);
    EXPECT_GT(difference, 0) << format;
    double largest = 0;
    for (const Tensor& t : wanted) {
      for (const float v : t.span<float>()) largest = std::max(largest, std::abs(double{v}));
    }
    EXPECT_LT(difference, 0.03 * largest) << format;
  }
}

// Values do not change on their way into ONNX's operators, whatever the type, group and direction.
TEST(ExportOnnx, KeepsEveryValue) {
  for (const char* format : {"int8",         "int8/g32",      "int7/g16",    "int4/g32",
                             "int4/channel", "int4/tensor",   "int3/g16",    "int2/g32",
                             "uint8/tensor", "uint8/channel", "uint4/g32",   "uint2/g16",
                             "int4/g32:u6",  "mxint8",        "ternary",     "ternary1.6/channel",
                             "binary",       "fp8e4m3",       "fp8e5m2/g32", "fp16"}) {
    Model model = all_layers();
    pack(model, format);
    const std::vector<Tensor> wanted = run(model);
    const Status status = export_decode_nodes(model, {});
    ASSERT_TRUE(status.ok()) << format << ": " << status.error().message();
    for (const NodeId id : model.graph.order()) EXPECT_FALSE(is_decode(model.graph.node(id)));
    EXPECT_EQ(largest_difference(wanted, run(model)), 0) << format;
  }
}

TEST(ExportOnnx, ProductsBecomeMatMulNBits) {
  for (const char* format : {"int4/g32", "uint4/g16", "int2/g32", "uint8/g64"}) {
    Model model = all_layers();
    pack(model, format);
    const std::vector<Tensor> wanted = run(model);
    ASSERT_TRUE(export_decode_nodes(model, {.matmul_nbits = true}).ok()) << format;
    int products = 0;
    for (const NodeId id : model.graph.order()) {
      products += model.graph.node(id).is("MatMulNBits", "com.microsoft") ? 1 : 0;
    }
    // Not the batched MatMul; the embedding is gathered from, too, so it stays beside its Gemm.
    EXPECT_EQ(products, 3) << format;
    EXPECT_EQ(model.opsets.at("com.microsoft"), 1);
    EXPECT_LT(largest_difference(wanted, run(model)), 1e-5) << format;
  }
}

TEST(ExportOnnx, DoesNotDropTheRoundingOfActivations) {
  Model model = all_layers();
  PackOptions options;
  options.format = *parse_format("int4/g32");
  options.int8_activations = true;
  ASSERT_TRUE(pack_weights(model.graph, options).ok());
  const Status status = export_decode_nodes(model, {});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message().find("'layer1'"), std::string::npos)
      << status.error().message();
  EXPECT_NE(status.error().message().find(".fewbit"), std::string::npos);
}

TEST(ExportOnnx, NamesWhatOnnxCannotCarry) {
  for (const char* format : {"nf4", "nvfp4", "mxfp4", "fp6e2m3", "q4_K", "apot4"}) {
    Model model = all_layers();
    pack(model, format);
    const Status status = export_decode_nodes(model, {});
    ASSERT_FALSE(status.ok()) << format;
    EXPECT_NE(status.error().message().find(format), std::string::npos);
    EXPECT_NE(status.error().message().find(".fewbit"), std::string::npos);
  }
}

}  // namespace
}  // namespace fewbit
