#include <cmath>
#include <limits>

#include "numerics/convert.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

float at(const std::string& op, int opset, float x) {
  return values<float>(OpCall(op, opset).in(floats({1}, {x})).output()).at(0);
}

struct UnaryCase {
  const char* op;
  int opset;
  float x, y;
};

class UnaryFormula : public ::testing::TestWithParam<UnaryCase> {};

TEST_P(UnaryFormula, GivesTheFormulasValue) {
  const UnaryCase& c = GetParam();
  // A handful of float roundings on values of this size.
  EXPECT_NEAR(at(c.op, c.opset, c.x), c.y, 8e-7 * std::max(1.0F, std::fabs(c.y))) << c.op;
}

INSTANTIATE_TEST_SUITE_P(
    All, UnaryFormula,
    ::testing::Values(
        UnaryCase{"Abs", 13, -2.5F, 2.5F}, UnaryCase{"Neg", 13, 2.5F, -2.5F},
        UnaryCase{"Sign", 13, -3.0F, -1.0F}, UnaryCase{"Relu", 14, -3.0F, 0.0F},
        UnaryCase{"Exp", 13, 1.0F, 2.7182818F}, UnaryCase{"Log", 13, 10.0F, 2.3025851F},
        UnaryCase{"Sqrt", 13, 2.0F, 1.4142135F}, UnaryCase{"Reciprocal", 13, 4.0F, 0.25F},
        UnaryCase{"Erf", 13, 0.5F, 0.5204999F}, UnaryCase{"Sigmoid", 13, 1.0F, 0.7310586F},
        UnaryCase{"Tanh", 13, 1.0F, 0.7615942F}, UnaryCase{"Softplus", 1, 1.0F, 1.3132617F},
        UnaryCase{"Softsign", 1, -1.0F, -0.5F}, UnaryCase{"Mish", 18, 1.0F, 0.8650984F},
        UnaryCase{"HardSwish", 14, 1.0F, 0.6666667F}, UnaryCase{"LeakyRelu", 16, -1.0F, -0.01F},
        UnaryCase{"Elu", 6, -1.0F, -0.6321206F}, UnaryCase{"Selu", 6, -1.0F, -1.1113307F},
        UnaryCase{"Celu", 12, -1.0F, -0.6321206F}, UnaryCase{"ThresholdedRelu", 10, 1.0F, 0.0F},
        UnaryCase{"HardSigmoid", 6, 1.0F, 0.7F}, UnaryCase{"Gelu", 20, 1.0F, 0.8413447F},
        UnaryCase{"Swish", 24, 1.0F, 0.7310586F}, UnaryCase{"Shrink", 9, 0.4F, 0.0F},
        UnaryCase{"Ceil", 13, 1.2F, 2.0F}, UnaryCase{"Floor", 13, -1.2F, -2.0F},
        UnaryCase{"Round", 11, 2.5F, 2.0F}, UnaryCase{"Sin", 7, 1.0F, 0.8414710F},
        UnaryCase{"Cos", 7, 1.0F, 0.5403023F}, UnaryCase{"Tan", 7, 1.0F, 1.5574077F},
        UnaryCase{"Asin", 7, 0.5F, 0.5235988F}, UnaryCase{"Acos", 7, 0.5F, 1.0471976F},
        UnaryCase{"Atan", 7, 1.0F, 0.7853982F}, UnaryCase{"Sinh", 9, 1.0F, 1.1752012F},
        UnaryCase{"Cosh", 9, 1.0F, 1.5430806F}, UnaryCase{"Asinh", 9, 1.0F, 0.8813736F},
        UnaryCase{"Acosh", 9, 2.0F, 1.3169579F}, UnaryCase{"Atanh", 9, 0.5F, 0.5493061F}),
    [](const auto& param) { return std::string(param.param.op); });

TEST(Unary, KeepsNanAndTheEndsOfTheRange) {
  for (const char* op : {"Relu", "Sigmoid", "Softplus", "HardSigmoid", "HardSwish", "Elu", "Celu",
                         "ThresholdedRelu", "Sign"}) {
    EXPECT_TRUE(std::isnan(at(op, 28, kNan))) << op;
  }
  EXPECT_EQ(at("Sigmoid", 13, -1e4F), 0.0F);
  EXPECT_EQ(at("Sigmoid", 13, kInf), 1.0F);
  EXPECT_EQ(at("Softplus", 1, kInf), kInf);
  EXPECT_EQ(at("Softplus", 1, -kInf), 0.0F);
  EXPECT_EQ(at("Softplus", 1, 1000.0F), 1000.0F);
}

TEST(Unary, TakesScalarsAndEmptyTensors) {
  EXPECT_EQ(OpCall("Abs", 13).in(floats({}, {-1})).output().rank(), 0);
  Tensor empty = OpCall("Exp", 13).in(floats({2, 0}, {})).output();
  EXPECT_EQ(empty.dims(), (Dims{2, 0}));
}

TEST(Unary, IntegersWrap) {
  constexpr int8_t kLow = std::numeric_limits<int8_t>::min();
  EXPECT_EQ(values<int8_t>(OpCall("Abs", 13).in(tensor<int8_t>({2}, {kLow, -3})).output()),
            (std::vector<int8_t>{kLow, 3}));
  EXPECT_EQ(values<int8_t>(OpCall("Neg", 13).in(tensor<int8_t>({1}, {kLow})).output()),
            (std::vector<int8_t>{kLow}));
  EXPECT_EQ(values<uint8_t>(OpCall("BitwiseNot", 18).in(tensor<uint8_t>({1}, {5})).output()),
            (std::vector<uint8_t>{250}));
}

TEST(Unary, RefusesTypesItDoesNotKnow) {
  OpCall("Exp", 13).in(ints({1}, {1})).error();
  OpCall("Neg", 13).in(tensor<uint8_t>({1}, {1})).error();
}

TEST(Unary, NarrowFloatsAreComputedInFloat) {
  Tensor x = *cast(floats({2}, {1.0F, -0.5F}), DType::kFloat16);
  Tensor y = OpCall("Exp", 13).in(x).output();
  ASSERT_EQ(y.type(), DType::kFloat16);
  // exp in float, rounded once to 11 bits.
  EXPECT_TRUE(y.identical(*cast(floats({2}, {std::exp(1.0F), std::exp(-0.5F)}), DType::kFloat16)));
}

TEST(Clip, AttributesThenInputs) {
  Tensor x = floats({3}, {-2, 0, 2});
  EXPECT_EQ(values<float>(OpCall("Clip", 6).in(x).attr("min", -1.0F).output()),
            (std::vector<float>{-1, 0, 2}));
  EXPECT_EQ(values<float>(OpCall("Clip", 13).in(x).none().in(floats({}, {1})).output()),
            (std::vector<float>{-2, 0, 1}));
  // Crossed bounds: the maximum wins.
  EXPECT_EQ(
      values<float>(OpCall("Clip", 13).in(x).in(floats({}, {5})).in(floats({}, {1})).output()),
      (std::vector<float>{1, 1, 1}));
  OpCall("Clip", 13).in(x).in(ints({}, {1})).error();
}

TEST(IsInf, SignsCanBeChosen) {
  Tensor x = floats({3}, {kInf, -kInf, kNan});
  EXPECT_EQ(values<bool>(OpCall("IsInf", 10).in(x).output()),
            (std::vector<bool>{true, true, false}));
  EXPECT_EQ(values<bool>(OpCall("IsInf", 10).in(x).attr("detect_negative", int64_t{0}).output()),
            (std::vector<bool>{true, false, false}));
  EXPECT_EQ(values<bool>(OpCall("IsNaN", 9).in(x).output()),
            (std::vector<bool>{false, false, true}));
  EXPECT_EQ(values<bool>(OpCall("Not", 1).in(tensor<bool>({2}, {true, false})).output()),
            (std::vector<bool>{false, true}));
}

TEST(Dropout, PassesThroughInInference) {
  Tensor x = floats({2}, {1, 2});
  auto result = OpCall("Dropout", 13).in(x).outputs(2).run();
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE((*result)[0].tensor().identical(x));
  EXPECT_EQ(values<bool>((*result)[1].tensor()), (std::vector<bool>{true, true}));
  EXPECT_EQ(OpCall("Dropout", 7).in(x).outputs(2).output(1).type(), DType::kFloat32);
}

TEST(Dropout, DropsTheShareAskedForInTraining) {
  constexpr int64_t kCount = 100000;
  Tensor ones = floats({kCount}, std::vector<float>(kCount, 1.0F));
  Tensor y =
      OpCall("Dropout", 13).in(ones).in(floats({}, {0.25F})).in(tensor<bool>({}, {true})).output();
  int64_t kept = 0;
  for (float v : y.span<float>()) {
    EXPECT_TRUE(v == 0.0F || v == 1.0F / 0.75F);
    kept += v != 0.0F ? 1 : 0;
  }
  // Binomial: five standard deviations.
  EXPECT_NEAR(static_cast<double>(kept), 0.75 * kCount, 5 * std::sqrt(kCount * 0.25 * 0.75));
}

TEST(Binary, Broadcasts) {
  Tensor a = floats({2, 1}, {1, 2});
  Tensor b = floats({3}, {10, 20, 30});
  Tensor y = OpCall("Add", 14).in(a).in(b).output();
  EXPECT_EQ(y.dims(), (Dims{2, 3}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{11, 21, 31, 12, 22, 32}));
  EXPECT_EQ(values<float>(OpCall("Sub", 14).in(b).in(floats({}, {1})).output()),
            (std::vector<float>{9, 19, 29}));
  EXPECT_EQ(OpCall("Mul", 14).in(floats({0}, {})).in(floats({1}, {2})).output().dims(), (Dims{0}));
  OpCall("Add", 14).in(floats({2}, {1, 2})).in(b).error();
  OpCall("Add", 14).in(ints({3}, {1, 2, 3})).in(b).error();
  EXPECT_FALSE(OpCall("Add", 6).in(b).in(b).run().ok()) << "no numpy broadcasting before 7";
}

TEST(Binary, BroadcastsInTheMiddle) {
  // [2, 1, 2] with [3, 1]: neither operand is one run.
  Tensor a = ints({2, 1, 2}, {0, 1, 2, 3});
  Tensor b = ints({3, 1}, {0, 10, 20});
  EXPECT_EQ(values<int64_t>(OpCall("Add", 14).in(a).in(b).output()),
            (std::vector<int64_t>{0, 1, 10, 11, 20, 21, 2, 3, 12, 13, 22, 23}));
}

TEST(Binary, IntegerArithmeticIsDefined) {
  constexpr int32_t kLow = std::numeric_limits<int32_t>::min();
  Tensor low = tensor<int32_t>({1}, {kLow});
  Tensor minus_one = tensor<int32_t>({1}, {-1});
  EXPECT_EQ(values<int32_t>(OpCall("Div", 14).in(low).in(minus_one).output()).at(0), kLow);
  EXPECT_EQ(values<int32_t>(OpCall("Mod", 13).in(low).in(minus_one).output()).at(0), 0);
  EXPECT_EQ(values<int32_t>(OpCall("Add", 14).in(low).in(minus_one).output()).at(0),
            std::numeric_limits<int32_t>::max());
  Tensor zero = tensor<int32_t>({1}, {0});
  EXPECT_NE(OpCall("Div", 14).in(low).in(zero).error().find("zero"), std::string::npos);
  OpCall("Mod", 13).in(low).in(zero).error();
  // 65535 * 65535 overflows the int that both are promoted to.
  Tensor big = tensor<uint16_t>({1}, {65535});
  EXPECT_EQ(values<uint16_t>(OpCall("Mul", 14).in(big).in(big).output()).at(0), 1);
}

TEST(Mod, SignsFollowTheAttribute) {
  Tensor a = ints({4}, {-7, 7, -7, 7});
  Tensor b = ints({4}, {3, -3, -3, 3});
  EXPECT_EQ(values<int64_t>(OpCall("Mod", 13).in(a).in(b).output()),
            (std::vector<int64_t>{2, -2, -1, 1}));
  EXPECT_EQ(values<int64_t>(OpCall("Mod", 13).in(a).in(b).attr("fmod", int64_t{1}).output()),
            (std::vector<int64_t>{-1, 1, -1, 1}));
  Tensor x = floats({2}, {-1.5F, 1.5F});
  Tensor one = floats({}, {1});
  EXPECT_EQ(values<float>(OpCall("Mod", 28).in(x).in(one).output()),
            (std::vector<float>{0.5F, 0.5F}));
  OpCall("Mod", 13).in(x).in(one).error();
}

TEST(Pow, BaseDecidesTheType) {
  Tensor base = ints({3}, {-2, 3, 10});
  EXPECT_EQ(values<int64_t>(OpCall("Pow", 15).in(base).in(floats({}, {3})).output()),
            (std::vector<int64_t>{-8, 27, 1000}));
  EXPECT_EQ(values<int64_t>(OpCall("Pow", 15).in(base).in(ints({}, {-1})).output()),
            (std::vector<int64_t>{0, 0, 0}));
  Tensor half = *cast(floats({}, {0.5F}), DType::kFloat16);
  EXPECT_EQ(values<float>(OpCall("Pow", 15).in(floats({1}, {9})).in(half).output()).at(0), 3.0F);
}

TEST(BitShift, PastTheWidthOnlyTheSignIsLeft) {
  Tensor x = tensor<int8_t>({3}, {-8, 8, 8});
  Tensor by = tensor<int8_t>({3}, {1, 9, -1});
  EXPECT_EQ(
      values<int8_t>(
          OpCall("BitShift", 28).in(x).in(by).attr("direction", std::string("RIGHT")).output()),
      (std::vector<int8_t>{-4, 0, 0}));
  EXPECT_EQ(
      values<int8_t>(
          OpCall("BitShift", 28).in(x).in(by).attr("direction", std::string("LEFT")).output()),
      (std::vector<int8_t>{-16, 0, 0}));
  OpCall("BitShift", 28).in(x).in(by).error();
}

TEST(Variadic, NanWinsAndOneInputIsEnough) {
  Tensor a = floats({2}, {1, kNan});
  Tensor b = floats({2}, {kNan, 2});
  for (const char* op : {"Max", "Min"}) {
    for (float v : values<float>(OpCall(op, 13).in(a).in(b).output())) EXPECT_TRUE(std::isnan(v));
  }
  EXPECT_EQ(values<float>(OpCall("Mean", 13).in(floats({1}, {3})).output()).at(0), 3.0F);
  EXPECT_EQ(values<float>(OpCall("Sum", 13)
                              .in(floats({2, 1}, {1, 2}))
                              .in(floats({2}, {10, 20}))
                              .in(floats({}, {100}))
                              .output()),
            (std::vector<float>{111, 121, 112, 122}));
}

TEST(Compare, NanIsNeverEqualAndStringsAre) {
  Tensor x = floats({2}, {kNan, 1});
  EXPECT_EQ(values<bool>(OpCall("Equal", 19).in(x).in(x).output()),
            (std::vector<bool>{false, true}));
  EXPECT_EQ(values<bool>(OpCall("LessOrEqual", 16).in(x).in(x).output()),
            (std::vector<bool>{false, true}));
  EXPECT_EQ(values<bool>(OpCall("Equal", 19)
                             .in(Tensor::strings({2}, {"a", "b"}))
                             .in(Tensor::strings({}, {"b"}))
                             .output()),
            (std::vector<bool>{false, true}));
}

TEST(Where, SelectsAnyType) {
  Tensor c = tensor<bool>({2, 1}, {true, false});
  EXPECT_EQ(
      values<int64_t>(OpCall("Where", 16).in(c).in(int_list({1, 2})).in(ints({}, {9})).output()),
      (std::vector<int64_t>{1, 2, 9, 9}));
  Tensor s = OpCall("Where", 16)
                 .in(tensor<bool>({2}, {true, false}))
                 .in(Tensor::strings({1}, {"x"}))
                 .in(Tensor::strings({1}, {"y"}))
                 .output();
  EXPECT_EQ(s.strings()[0] + s.strings()[1], "xy");
}

TEST(PRelu, SlopeMayNotWidenTheInput) {
  Tensor x = floats({1, 2, 1}, {-1, -2});
  EXPECT_EQ(values<float>(OpCall("PRelu", 16).in(x).in(floats({2, 1}, {0.5F, 2})).output()),
            (std::vector<float>{-0.5F, -4}));
  OpCall("PRelu", 16).in(floats({1}, {-1})).in(floats({2}, {1, 2})).error();
}

TEST(SwiGlu, GatesAndRefusesBroadcasting) {
  Tensor a = floats({1}, {1});
  EXPECT_NEAR(values<float>(OpCall("SwiGLU", 28).in(a).in(floats({1}, {2})).output()).at(0),
              2 * 0.7310586F, 1e-6);
  OpCall("SwiGLU", 28).in(a).in(floats({2}, {1, 2})).error();
}

}  // namespace
}  // namespace fewbit::ops
