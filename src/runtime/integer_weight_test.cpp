// Weights in few bits as integers: scale times integer is what decoding gives, and networks between
// quantizers compute with the integers.

#include "runtime/integer_weight.h"

#include <gtest/gtest.h>

#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using Ints = std::vector<int64_t>;

PackedMatrix random_matrix(const std::string& format, int64_t rows, int64_t cols) {
  std::vector<float> w(static_cast<size_t>(rows * cols));
  Random(5).fill_normal(w, 0.01F, 0.1F);
  const auto packed = encode(*parse_format(format), {w, rows, cols, {}});
  FEWBIT_CHECK(packed.ok(), packed.error().message());
  return *packed;
}

TEST(IntegerWeight, ScaleTimesIntegerIsTheWeight) {
  for (const char* format : {"int4/channel", "int3/tensor", "int2/channel:bf16", "uint4/channel",
                             "uint3/tensor", "int7/channel", "ternary/channel", "binary/channel",
                             "int5/channel:f32", "int4/g64", "int2/g16:u6", "ternary/g32:u6"}) {
    // One group of 64 is a scale per row.
    const int64_t cols = std::string_view(format) == "int4/g64" ? 60 : 90;
    const PackedMatrix matrix = random_matrix(format, 6, cols);
    const auto scales = integer_scales(matrix);
    ASSERT_TRUE(scales.ok()) << format << ": " << scales.error().message();
    const Tensor integers = integer_tensor(matrix, *scales, {6, cols}, false);
    const std::vector<float> w = decode(matrix);
    for (size_t i = 0; i < w.size(); ++i) {
      const float scale = (*scales)[i / static_cast<size_t>(cols)];
      const auto integer = static_cast<float>(integers.span<int8_t>()[i]);
      ASSERT_NEAR(scale * integer, w[i], 1e-5F * std::abs(w[i])) << format << " " << i;
    }
  }
}

TEST(IntegerWeight, OthersAreRefusedWithTheReason) {
  const std::pair<const char*, const char*> cases[] = {{"int4/g32", "one scale per output"},
                                                       {"q4_K", "one scale per output"},
                                                       // Scales that turn -128 round.
                                                       {"int8/channel", "one scale per output"},
                                                       {"int4/g16:u6", "one scale per output"},
                                                       {"nf4/channel", "no integers"}};
  for (const auto& [format, reason] : cases) {
    const auto scales = integer_scales(random_matrix(format, 4, 256));
    ASSERT_FALSE(scales.ok()) << format;
    EXPECT_NE(scales.error().message().find(reason), std::string::npos) << scales.error().message();
  }
}

// codes -> layer -> codes, the weights in `format` behind Decode.
struct PackedLayerModel : test::ModelBuilder {
  void weight(const std::string& format, const Dims& dims, bool transposed) {
    const int64_t rows = transposed ? dims.back() : dims.front();
    const PackedMatrix matrix = random_matrix(format, rows, elements_of(dims) / rows);
    Node decode = decode_node(matrix, dims, transposed);
    for (size_t i = 0; i < matrix.parts.size(); ++i) {
      decode.inputs.push_back(graph.add_constant(fmt::format("part{}", i), matrix.parts[i]));
    }
    decode.name = "decode";
    decode.outputs = {id("w")};
    graph.add_node(std::move(decode));
    model.opsets["ai.fewbit"] = 1;
  }

  // The optimized session, which may differ by one code from the plain one.
  std::string executed(const Dims& in) {
    output({"y_codes"});
    SessionOptions plain;
    plain.optimize = false;
    Session reference = test::session_of(model, plain), session = test::session_of(model);
    const Feeds feeds = {{"x", test::random_tensor(in, 3, -2, 2)}};
    const auto expected = test::run(reference, feeds), found = test::run(session, feeds);
    const auto want = expected.at(0).tensor().span<uint8_t>();
    const auto got = found.at(0).tensor().span<uint8_t>();
    EXPECT_GT(*std::max_element(want.begin(), want.end()),
              *std::min_element(want.begin(), want.end()));
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(want[i], got[i], 1);
    std::string kernels;
    for (const StepProfile& step : session.profile()) kernels += step.kernel + "\n";
    return kernels;
  }
};

TEST(IntegerWeight, ConvolutionsBetweenQuantizersComputeOnIntegers) {
  for (const char* format : {"int4/channel", "uint4/channel", "binary/channel", "int2/tensor"}) {
    PackedLayerModel b;
    b.input("x", {1, 16, 9, 7}).requantize("x", "x", {0.016F, 120});
    b.weight(format, {32, 16, 3, 3}, false);
    b.random("bias", {32});
    b.node("Conv", {"x_real", "w", "bias"}, "conv", {{"pads", Ints{1, 1, 1, 1}}});
    b.node("Relu", {"conv"}, "r").requantize("r", "y", {0.03F, 0});
    const std::string kernels = b.executed({1, 16, 9, 7});
    EXPECT_NE(kernels.find("int8_conv/"), std::string::npos) << kernels;
    EXPECT_NE(kernels.find("/w"), std::string::npos) << format << ": " << kernels;
  }
}

// A channel of next to no weights under a large bias, as batch normalization leaves it behind.
TEST(IntegerWeight, BiasesThatOutgrowTheirWeightsStayExact) {
  PackedLayerModel b;
  b.input("x", {1, 4, 5, 5}).requantize("x", "x", {0.016F, 120});
  std::vector<float> w(16, 1e-9F);
  for (size_t i = 4; i < w.size(); ++i) w[i] = 0.1F * static_cast<float>(i % 5) - 0.2F;
  const auto matrix = encode(*parse_format("int4/channel:f32"), {w, 4, 4, {}});
  ASSERT_TRUE(matrix.ok());
  Node decode = decode_node(*matrix, {4, 4, 1, 1}, false);
  for (size_t i = 0; i < matrix->parts.size(); ++i) {
    decode.inputs.push_back(b.graph.add_constant(fmt::format("part{}", i), matrix->parts[i]));
  }
  decode.outputs = {b.id("w")};
  b.graph.add_node(std::move(decode));
  b.model.opsets["ai.fewbit"] = 1;
  b.constant("bias", Tensor::from<float>({4}, std::vector<float>{3.0F, 0.5F, -0.25F, 0.0F}));
  b.node("Conv", {"x_real", "w", "bias"}, "conv").requantize("conv", "y", {0.03F, 100});
  const std::string kernels = b.executed({1, 4, 5, 5});
  EXPECT_NE(kernels.find("int8_conv/"), std::string::npos) << kernels;
}

TEST(IntegerWeight, ProductsBetweenQuantizersComputeOnIntegers) {
  for (const bool gemm : {false, true}) {
    PackedLayerModel b;
    b.input("x", {5, 48}).requantize("x", "x", {0.016F, 120});
    b.weight("int4/channel", gemm ? Dims{32, 48} : Dims{48, 32}, !gemm);
    if (gemm) {
      b.random("bias", {32});
      b.node("Gemm", {"x_real", "w", "bias"}, "p", {{"transB", int64_t{1}}});
    } else {
      b.node("MatMul", {"x_real", "w"}, "p");
    }
    b.requantize("p", "y", {0.05F, 128});
    const std::string kernels = b.executed({5, 48});
    EXPECT_NE(kernels.find("int8_gemm/"), std::string::npos) << kernels;
    EXPECT_NE(kernels.find("/w4"), std::string::npos) << kernels;
  }
}

}  // namespace
}  // namespace fewbit
