// Small quantize-dequantize graphs: the fused integer network gives the codes that the plain float
// operators between DequantizeLinear and QuantizeLinear give, within one code (the multiplication
// by the output scale is rounded once here and twice there, which can only tip a value that lies on
// the border of two codes), and exactly where codes are only moved.

#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::NodeAttributes;
using test::random_tensor;
using Ints = std::vector<int64_t>;

using Params = test::CodeParams;

class QdqModel : public ModelBuilder {
 public:
  /// A float input `name`, and its dequantized codes as `name`_real.
  QdqModel& activation(const std::string& name, const Dims& dims, const Params& p) {
    input(name, dims).requantize(name, name, p);
    return *this;
  }
  /// A weight behind DequantizeLinear; one scale per index of `axis`, or one in all where it is <
  /// 0.
  QdqModel& weight(const std::string& name, const Dims& dims, int64_t axis) {
    Tensor codes = Tensor::uninitialized(DType::kInt8, dims);
    for (int8_t& c : codes.span<int8_t>()) {
      c = static_cast<int8_t>(static_cast<int>(random_codes_.below(255)) - 127);
    }
    Dims scale_dims = axis < 0 ? Dims{} : Dims{dims[static_cast<size_t>(axis)]};
    Tensor scale = Tensor::uninitialized(DType::kFloat32, scale_dims);
    random_codes_.fill_uniform(scale.span<float>(), 0.002F, 0.02F);
    weight_scales[name] = scale;
    constant(name + "_codes", codes).constant(name + "_scale", scale);
    constant(name + "_zero", Tensor::zeros(DType::kInt8, scale_dims));
    node("DequantizeLinear", {name + "_codes", name + "_scale", name + "_zero"}, name,
         {{"axis", std::max<int64_t>(axis, 0)}});
    return *this;
  }
  /// An int32 bias of n channels with the scale of the products.
  QdqModel& bias(const std::string& name, int64_t n, const std::string& weight_name,
                 float x_scale) {
    Tensor scale = weight_scales.at(weight_name).clone();
    for (float& s : scale.span<float>()) s *= x_scale;
    Tensor codes = Tensor::uninitialized(DType::kInt32, {n});
    for (int32_t& c : codes.span<int32_t>())
      c = static_cast<int32_t>(random_codes_.below(4001)) - 2000;
    constant(name + "_codes", codes).constant(name + "_scale", scale);
    constant(name + "_zero", Tensor::zeros(DType::kInt32, scale.dims()));
    node("DequantizeLinear", {name + "_codes", name + "_scale", name + "_zero"}, name,
         {{"axis", int64_t{0}}});
    return *this;
  }
  std::map<std::string, Tensor> weight_scales;

 private:
  Random random_codes_{3};
};

int code(const Tensor& t, int64_t i) {
  return t.type() == DType::kInt8 ? t.data<int8_t>()[i] : t.data<uint8_t>()[i];
}

// The output `y_codes` both ways, on three random inputs each; `float_ops` may not be in the
// executed graph. Returns it, printed.
std::string expect_integer(QdqModel& b, int tolerance, const test::Names& float_ops,
                           const std::string& output = "y_codes") {
  b.output({output});
  SessionOptions plain;
  plain.optimize = false;
  Session reference = test::session_of(b.model, plain);
  Session session = test::session_of(b.model);
  for (uint64_t seed = 0; seed < 3; ++seed) {
    Feeds feeds;
    for (ValueId id : b.graph.inputs) {
      const Value& v = b.graph.value(id);
      feeds.emplace_back(v.name,
                         random_tensor(*v.type.static_dims(), 17 * seed + feeds.size(), -2, 2));
    }
    auto e = test::run(reference, feeds);
    auto a = test::run(session, feeds);
    if (e.size() != 1 || a.size() != 1) return "";
    const Tensor& expected = e[0].tensor();
    const Tensor& actual = a[0].tensor();
    EXPECT_EQ(expected.type(), actual.type());
    EXPECT_EQ(expected.dims(), actual.dims());
    if (expected.type() != actual.type() || expected.dims() != actual.dims()) return "";
    int worst = 0;
    int smallest = 255;
    int largest = -255;
    for (int64_t i = 0; i < expected.elements(); ++i) {
      worst = std::max(worst, std::abs(code(expected, i) - code(actual, i)));
      smallest = std::min(smallest, code(expected, i));
      largest = std::max(largest, code(expected, i));
    }
    EXPECT_LE(worst, tolerance) << session.executed_graph();
    EXPECT_GT(largest, smallest) << "the test shows nothing: all codes are equal";
  }
  std::string text = session.executed_graph();
  for (const std::string& op : float_ops) {
    EXPECT_EQ(text.find(" = " + op + "("), std::string::npos) << op << " runs on floats:\n" << text;
  }
  return text;
}

struct ConvCase {
  int64_t axis;  // of the weight's scales
  int64_t groups;
  bool bias;
  std::string activation;  // "", Relu, Clip
  Params out;
  Ints strides = {1, 1};
};

void expect_conv(const ConvCase& c) {
  constexpr float kScale = 0.016F;
  QdqModel b;
  b.activation("x", {2, 8, 9, 7}, {kScale, 120}).weight("w", {16, 8 / c.groups, 3, 3}, c.axis);
  test::Names inputs = {"x_real", "w"};
  if (c.bias) {
    b.bias("bias", 16, "w", kScale);
    inputs.push_back("bias");
  }
  b.node("Conv", inputs, "conv",
         {{"group", c.groups}, {"pads", Ints{1, 1, 1, 1}}, {"strides", c.strides}});
  std::string value = "conv";
  if (c.activation == "Relu") b.node("Relu", {"conv"}, value = "act");
  if (c.activation == "Clip") {
    b.constant("lo", Tensor::scalar(-1.0F)).constant("hi", Tensor::scalar(2.0F));
    b.node("Clip", {"conv", "lo", "hi"}, value = "act");
  }
  b.requantize(value, "y", c.out);
  expect_integer(b, 1, {"Conv", "Relu"});
}

TEST(LowerInt8, Conv) {
  for (int64_t axis : {-1, 0}) {
    for (bool bias : {false, true}) {
      expect_conv({axis, 1, bias, "", {0.06F, 128}});
      expect_conv({axis, 1, bias, "Relu", {0.03F, 0}});
      expect_conv({axis, 2, bias, "Relu", {0.03F, 0}});
    }
  }
  expect_conv({0, 1, true, "", {0.06F, 128}, {2, 2}});
  expect_conv({0, 1, true, "Relu", {0.05F, -3, DType::kInt8}});
}

TEST(LowerInt8, ConvWhoseClipStaysOnTheCodes) {
  // The zero-point is not the smallest code: the activation cuts codes off.
  expect_conv({0, 1, true, "Relu", {0.05F, 100}});
  expect_conv({-1, 1, true, "Clip", {0.05F, 90}});
  expect_conv({0, 8, false, "Clip", {0.04F, -10, DType::kInt8}});
}

TEST(LowerInt8, DepthwiseConv) {
  for (int64_t stride : {1, 2}) {
    QdqModel b;
    b.activation("x", {1, 24, 10, 11}, {0.016F, 120}).weight("w", {24, 1, 3, 3}, 0);
    b.bias("bias", 24, "w", 0.016F);
    b.node("Conv", {"x_real", "w", "bias"}, "conv",
           {{"group", int64_t{24}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{stride, stride}}});
    b.node("Relu", {"conv"}, "r").requantize("r", "y", {0.015F, 0});
    expect_integer(b, 1, {"Conv", "Relu"});
  }
}

TEST(LowerInt8, ConvWithAFloatBiasAndAResidual) {
  QdqModel b;
  b.activation("x", {1, 8, 6, 6}, {0.016F, 120}).weight("w", {8, 8, 1, 1}, 0).random("bias", {8});
  b.node("Conv", {"x_real", "w", "bias"}, "conv").requantize("conv", "c", {0.03F, 128});
  b.node("Add", {"c_real", "x_real"}, "sum").node("Relu", {"sum"}, "r");
  b.requantize("r", "y", {0.02F, 0});
  // One code of the convolution is one and a half of the sum.
  expect_integer(b, 2, {"Conv", "Add", "Relu"});
}

TEST(LowerInt8, Conv1d) {
  QdqModel b;
  b.activation("x", {2, 6, 20}, {0.016F, 120}).weight("w", {5, 6, 3}, 0);
  b.node("Conv", {"x_real", "w"}, "conv").requantize("conv", "y", {0.04F, 128});
  expect_integer(b, 1, {"Conv"});
}

TEST(LowerInt8, GemmBothWaysRound) {
  for (int64_t transposed : {0, 1}) {
    for (bool per_row : {false, true}) {
      QdqModel b;
      b.activation("x", {5, 24}, {0.016F, 120});
      b.weight("w", transposed != 0 ? Dims{11, 24} : Dims{24, 11}, per_row ? 1 - transposed : -1);
      b.bias("bias", 11, "w", 0.016F);
      b.node("Gemm", {"x_real", "w", "bias"}, "g", {{"transB", transposed}});
      b.requantize("g", "y", {0.05F, 128});
      expect_integer(b, 1, {"Gemm", "MatMul"});
    }
  }
}

TEST(LowerInt8, MatMulOfConstantsAndOfActivations) {
  for (bool per_column : {false, true}) {
    QdqModel b;
    b.activation("x", {2, 5, 24}, {0.016F, 120}).weight("w", {24, 9}, per_column ? 1 : -1);
    b.node("MatMul", {"x_real", "w"}, "m").requantize("m", "y", {0.05F, 128});
    expect_integer(b, 1, {"MatMul"});
  }
  QdqModel dynamic;
  dynamic.activation("x", {2, 3, 5, 8}, {0.016F, 120}).activation("z", {3, 8, 6}, {0.015F, 130});
  dynamic.node("MatMul", {"x_real", "z_real"}, "m").requantize("m", "y", {0.08F, 128});
  expect_integer(dynamic, 1, {"MatMul"});
}

TEST(LowerInt8, ProductsWithoutAQuantizerGiveFloats) {
  QdqModel b;
  b.activation("x", {5, 24}, {0.016F, 120}).weight("w", {24, 11}, 1).weight("v", {11, 24}, 0);
  b.bias("bias", 11, "v", 0.016F);
  b.node("MatMul", {"x_real", "w"}, "m");
  b.node("Gemm", {"x_real", "v", "bias"}, "g", {{"transB", int64_t{1}}}).output({"m", "g"});
  Feeds feeds = {{"x", random_tensor({5, 24}, 5, -2, 2)}};
  // Integer sums are exact; the float ones are rounded at each of 24 terms.
  test::expect_same_optimized(b.model, feeds, 1e-5);
  Session session = test::session_of(b.model);
  test::run(session, feeds);
  EXPECT_EQ(session.executed_graph().find(" = MatMul("), std::string::npos);
  EXPECT_EQ(session.executed_graph().find(" = Gemm("), std::string::npos);
}

TEST(LowerInt8, AddAndMulWithBroadcast) {
  const std::pair<Dims, Dims> shapes[] = {{{2, 6, 5, 4}, {2, 6, 5, 4}},
                                          {{2, 6, 5, 4}, {2, 6, 1, 1}},
                                          {{1, 6, 1, 1}, {2, 6, 5, 4}},
                                          {{3, 7}, {7}}};
  for (const char* op : {"Add", "Mul"}) {
    for (const auto& [first, second] : shapes) {
      for (DType type : {DType::kUint8, DType::kInt8}) {
        int offset = type == DType::kInt8 ? -128 : 0;
        QdqModel b;
        b.activation("x", first, {0.016F, 120 + offset, type});
        b.activation("z", second, {0.011F, 140 + offset, type});
        b.node(op, {"x_real", "z_real"}, "s").requantize("s", "y", {0.027F, 125 + offset, type});
        expect_integer(b, 1, {op});
      }
    }
  }
}

TEST(LowerInt8, ConcatOfEqualAndOfOtherScales) {
  for (bool equal : {true, false}) {
    QdqModel b;
    b.activation("x", {1, 3, 4, 5}, {0.016F, 120});
    b.activation("z", {1, 5, 4, 5}, equal ? Params{0.016F, 120} : Params{0.012F, 60});
    b.node("Concat", {"x_real", "z_real"}, "c", {{"axis", int64_t{1}}});
    b.requantize("c", "y", {0.016F, 120});
    expect_integer(b, equal ? 0 : 1, {"Concat"});
  }
}

TEST(LowerInt8, Pools) {
  const NodeAttributes window = {
      {"kernel_shape", Ints{3, 3}}, {"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}};
  QdqModel max;
  max.activation("x", {2, 5, 9, 8}, {0.016F, 120}).node("MaxPool", {"x_real"}, "p", window);
  max.requantize("p", "y", {0.016F, 120});
  EXPECT_EQ(expect_integer(max, 0, {}).find("DequantizeLinear"), std::string::npos);
  for (int64_t include_pad : {0, 1}) {
    NodeAttributes average = window;
    average["count_include_pad"] = include_pad;
    QdqModel b;
    b.activation("x", {2, 5, 9, 8}, {0.016F, 120}).node("AveragePool", {"x_real"}, "p", average);
    b.requantize("p", "y", {0.008F, 126});
    expect_integer(b, 1, {"AveragePool"});
  }
  QdqModel global;
  global.activation("x", {2, 19, 7, 7}, {0.016F, 120}).node("GlobalAveragePool", {"x_real"}, "p");
  global.requantize("p", "y", {0.003F, 126});
  expect_integer(global, 1, {"GlobalAveragePool"});
}

TEST(LowerInt8, Tables) {
  for (const char* op : {"Sigmoid", "HardSwish", "Tanh", "LeakyRelu", "Softplus"}) {
    for (DType type : {DType::kUint8, DType::kInt8}) {
      int offset = type == DType::kInt8 ? -128 : 0;
      QdqModel b;
      b.activation("x", {2, 3, 40}, {0.016F, 120 + offset, type}).node(op, {"x_real"}, "t");
      b.requantize("t", "y", {0.017F, 122 + offset, type});
      // The table was made by the very operators it stands for.
      EXPECT_NE(expect_integer(b, 0, {op}).find("QTable"), std::string::npos) << op;
    }
  }
}

TEST(LowerInt8, MinWithABoundPerChannel) {
  QdqModel b;
  b.activation("x", {2, 4, 5, 5}, {0.016F, 0}).random("bound", {1, 4, 1, 1}, 0.2F, 1.5F);
  b.node("Min", {"x_real", "bound"}, "m").requantize("m", "y", {0.016F, 0});
  EXPECT_EQ(expect_integer(b, 0, {}).find("DequantizeLinear"), std::string::npos);
}

TEST(LowerInt8, MovesKeepTheCodes) {
  auto check = [](const std::string& op, const NodeAttributes& attributes,
                  const std::vector<Ints>& parameters, bool int8) {
    int offset = int8 ? -128 : 0;
    Params p{0.016F, 120 + offset, int8 ? DType::kInt8 : DType::kUint8};
    QdqModel b;
    b.activation("x", {2, 4, 6, 5}, p);
    test::Names inputs = {"x_real"};
    for (size_t i = 0; i < parameters.size(); ++i) {
      inputs.push_back(fmt::format("p{}", i));
      b.constant(inputs.back(),
                 Tensor::from({static_cast<int64_t>(parameters[i].size())}, parameters[i]));
    }
    b.node(op, inputs, "m", attributes).requantize("m", "y", p);
    EXPECT_EQ(expect_integer(b, 0, {}).find("DequantizeLinear"), std::string::npos) << op;
  };
  for (bool int8 : {false, true}) {
    check("Pad", {}, {{0, 0, 1, 2, 0, 0, 0, 1}}, int8);
    check("Slice", {}, {{1, -1}, {4, -6}, {1, 3}, {2, -2}}, int8);
    check("Transpose", {{"perm", Ints{0, 2, 3, 1}}}, {}, int8);
    check("Transpose", {}, {}, int8);
    check("Reshape", {}, {{2, 24, 5}}, int8);
    check("Flatten", {}, {}, int8);
    check("Expand", {}, {{3, 1, 1, 1, 1}}, int8);
  }
}

TEST(LowerInt8, SplitKeepsTheCodesOfEveryPart) {
  QdqModel b;
  b.activation("x", {1, 6, 3, 3}, {0.016F, 120}).constant("sizes", Tensor::from({2}, Ints{2, 4}));
  b.node("Split", {"x_real", "sizes"}, test::Names{"s", "t"}, {{"axis", int64_t{1}}});
  b.requantize("s", "u", {0.016F, 120}).requantize("t", "y", {0.016F, 120});
  b.output({"u_codes", "y_codes"});
  test::expect_same_optimized(b.model, {{"x", random_tensor({1, 6, 3, 3}, 1, -2, 2)}}, 0);
}

TEST(LowerInt8, AWholeBlockStaysOnIntegers) {
  QdqModel b;
  b.activation("x", {1, 3, 16, 16}, {0.016F, 120}).weight("w1", {16, 3, 3, 3}, 0);
  b.weight("w2", {16, 1, 3, 3}, 0).weight("w3", {8, 16, 1, 1}, 0).weight("w4", {8, 10}, -1);
  b.node("Conv", {"x_real", "w1"}, "c1", {{"strides", Ints{2, 2}}}).node("Relu", {"c1"}, "r1");
  b.requantize("r1", "a", {0.02F, 0});
  b.node("Conv", {"a_real", "w2"}, "c2", {{"group", int64_t{16}}})
      .requantize("c2", "b", {0.02F, 128});
  b.node("Conv", {"b_real", "w3"}, "c3").requantize("c3", "c", {0.03F, 128});
  b.node("GlobalAveragePool", {"c_real"}, "g").requantize("g", "d", {0.005F, 128});
  b.node("Flatten", {"d_real"}, "f").requantize("f", "e", {0.005F, 128});
  b.node("MatMul", {"e_real", "w4"}, "m").requantize("m", "y", {0.002F, 128});
  // Five layers of at most a code each, damped by the averages.
  expect_integer(b, 4, {"Conv", "MatMul", "Relu", "GlobalAveragePool"});
}

}  // namespace
}  // namespace fewbit
