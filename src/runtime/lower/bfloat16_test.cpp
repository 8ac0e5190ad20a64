// Layers whose weights are stored in bfloat16, against double arithmetic with a bound derived from
// the roundings: activations are rounded to bfloat16 where a layer reads or writes them, products
// are exact, sums are in float32. Where the processor has no bfloat16 instructions the same tests
// run, and hold, in float32.

#include <gtest/gtest.h>

#include "numerics/convert.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;
using test::session_of;
using Ints = std::vector<int64_t>;

// Half a unit in the last place: 8 significant bits in bfloat16, 24 in float32.
constexpr double kBfloat16 = 1.0 / (1 << 8);
constexpr double kFloat32 = 1.0 / (1 << 24);

/// A value and how far the computed one may be from it.
struct Bounded {
  std::vector<double> value, error;
};

class Bfloat16Model : public ModelBuilder {
 public:
  /// A weight that is stored as bfloat16; its values are kept as they are read back.
  Bfloat16Model& weight(const std::string& name, const Dims& dims) {
    auto stored = cast(random_tensor(dims, seed_++), DType::kBfloat16);
    EXPECT_TRUE(stored.ok());
    auto back = cast(*stored, DType::kFloat32);
    weights[name] = *back;
    constant(name + "_bf16", std::move(*stored));
    node("Cast", {name + "_bf16"}, name, {{"to", static_cast<int64_t>(DType::kFloat32)}});
    return *this;
  }
  std::map<std::string, Tensor> weights;

 private:
  uint64_t seed_ = 11;
};

Bounded exact(const Tensor& t) {
  Bounded out;
  for (float x : t.span<float>()) out.value.push_back(x);
  out.error.assign(out.value.size(), 0);
  return out;
}

// Adds one product of the sum out[o] += in[i] * w. The factor was rounded to bfloat16, and each of
// `terms` additions rounds a sum that is at most the sum of magnitudes.
void accumulate(const Bounded& in, size_t i, double w, int64_t terms, Bounded& out, size_t o) {
  const double magnitude = std::abs(in.value[i]) + in.error[i];
  out.value[o] += in.value[i] * w;
  out.error[o] += std::abs(w) * (in.error[i] + magnitude * kBfloat16);
  out.error[o] += std::abs(w) * magnitude * 2 * static_cast<double>(terms + 2) * kFloat32;
}

struct ConvShape {
  int64_t channels, size, outputs, kernel, groups;
};

// Stride 1, padded to the same size, batch 1.
Bounded conv(const Bounded& in, const Tensor& w, const ConvShape& s) {
  const auto elements = static_cast<size_t>(s.outputs * s.size * s.size);
  Bounded out = {std::vector<double>(elements, 0), std::vector<double>(elements, 0)};
  const int64_t per_group = s.channels / s.groups, pad = s.kernel / 2;
  for (int64_t o = 0; o < s.outputs; ++o) {
    const int64_t first = o / (s.outputs / s.groups) * per_group;
    for (int64_t p = 0; p < s.size * s.size; ++p) {
      for (int64_t i = 0; i < per_group * s.kernel * s.kernel; ++i) {
        const int64_t c = i / (s.kernel * s.kernel), tap = i % (s.kernel * s.kernel);
        const int64_t y = p / s.size + tap / s.kernel - pad, x = p % s.size + tap % s.kernel - pad;
        if (y < 0 || x < 0 || y >= s.size || x >= s.size) continue;
        accumulate(in, static_cast<size_t>(((first + c) * s.size + y) * s.size + x),
                   w.data<float>()[o * per_group * s.kernel * s.kernel + i],
                   per_group * s.kernel * s.kernel, out,
                   static_cast<size_t>(o * s.size * s.size + p));
      }
    }
  }
  return out;
}

// Relu never makes an error larger; the result may be handed on as bfloat16.
Bounded relu(Bounded x) {
  for (size_t i = 0; i < x.value.size(); ++i) {
    x.value[i] = std::max(x.value[i], 0.0);
    x.error[i] += (x.value[i] + x.error[i]) * kBfloat16;
  }
  return x;
}

Bounded sum(const Bounded& a, const Bounded& b) {
  Bounded out = a;
  for (size_t i = 0; i < a.value.size(); ++i) {
    out.value[i] += b.value[i];
    out.error[i] += b.error[i] + (std::abs(b.value[i]) + b.error[i]) * kBfloat16 +
                    std::abs(out.value[i]) * 2 * kFloat32;
  }
  return out;
}

void expect_within(const Tensor& found, const Bounded& expected) {
  ASSERT_EQ(found.type(), DType::kFloat32);
  ASSERT_EQ(found.elements(), static_cast<int64_t>(expected.value.size()));
  for (int64_t i = 0; i < found.elements(); ++i) {
    const auto at = static_cast<size_t>(i);
    ASSERT_NEAR(found.data<float>()[i], expected.value[at], expected.error[at]) << i;
  }
}

struct Steps {
  int bfloat16 = 0;     ///< products in bfloat16
  int conversions = 0;  ///< between float32 and bfloat16
};

Tensor run(const Model& model, const Tensor& x, SessionOptions options, Steps& steps) {
  Session session = session_of(model, options);
  session.set_profiling(true);
  auto outputs = test::run(session, {{"x", x}});
  for (const StepProfile& step : session.profile()) {
    steps.bfloat16 += step.kernel.find("bf16") != std::string::npos ? 1 : 0;
    steps.conversions += step.op == "ConvertType" ? 1 : 0;
  }
  return outputs.at(0).tensor();
}

// The model's result is within the bound with bfloat16 and without, and the steps are those
// expected.
void check(const Bfloat16Model& model, const Tensor& x, const Bounded& expected, int products,
           int conversions) {
  Steps steps, float_steps;
  expect_within(run(model.model, x, {}, steps), expected);
  SessionOptions in_float;
  in_float.bfloat16 = false;
  expect_within(run(model.model, x, in_float, float_steps), expected);
  EXPECT_EQ(float_steps.bfloat16, 0);
  EXPECT_EQ(float_steps.conversions, 0);
  const bool fast = bfloat16_is_fast();
  fmt::print("  bfloat16 {}\n", fast ? "native" : "unavailable on this processor: float32");
  EXPECT_EQ(steps.bfloat16, fast ? products : 0);
  EXPECT_EQ(steps.conversions, fast ? conversions : 0);
}

TEST(Bfloat16, ConvolutionsHandOnBfloat16) {
  Bfloat16Model model;
  model.weight("w1", {32, 16, 3, 3}).weight("w2", {32, 1, 3, 3}).weight("w3", {16, 32, 1, 1});
  model.input("x", {1, 16, 9, 9});
  model.node("Conv", {"x", "w1"}, "a", {{"pads", Ints{1, 1, 1, 1}}}).node("Relu", {"a"}, "ar");
  model.node("Conv", {"ar", "w2"}, "b", {{"pads", Ints{1, 1, 1, 1}}, {"group", int64_t{32}}});
  model.node("Relu", {"b"}, "br").node("Conv", {"br", "w3"}, "y").output({"y"});
  const Tensor x = random_tensor({1, 16, 9, 9}, 5);
  const Bounded a = relu(conv(exact(x), model.weights["w1"], {16, 9, 32, 3, 1}));
  const Bounded b = relu(conv(a, model.weights["w2"], {32, 9, 32, 3, 32}));
  // Only the input is converted.
  check(model, x, conv(b, model.weights["w3"], {32, 9, 16, 1, 1}), 3, 1);
}

TEST(Bfloat16, ResidualIsAddedInTheConvolution) {
  Bfloat16Model model;
  model.weight("w1", {16, 16, 1, 1}).weight("w2", {16, 16, 3, 3}).weight("w3", {16, 16, 1, 1});
  model.input("x", {1, 16, 8, 8});
  model.node("Conv", {"x", "w1"}, "a").node("Relu", {"a"}, "ar");
  model.node("Conv", {"ar", "w2"}, "b", {{"pads", Ints{1, 1, 1, 1}}}).node("Add", {"b", "ar"}, "s");
  model.node("Relu", {"s"}, "sr").node("Conv", {"sr", "w3"}, "y").output({"y"});
  const Tensor x = random_tensor({1, 16, 8, 8}, 6);
  const Bounded a = relu(conv(exact(x), model.weights["w1"], {16, 8, 16, 1, 1}));
  const Bounded s = relu(sum(conv(a, model.weights["w2"], {16, 8, 16, 3, 1}), a));
  check(model, x, conv(s, model.weights["w3"], {16, 8, 16, 1, 1}), 3, 1);
}

TEST(Bfloat16, MatrixProducts) {
  Bfloat16Model model;
  model.weight("w1", {24, 40}).weight("w2", {32, 40});
  model.input("x", {5, 24}).node("MatMul", {"x", "w1"}, "a").node("Relu", {"a"}, "ar");
  model.node("Gemm", {"ar", "w2"}, "y", {{"transB", int64_t{1}}}).output({"y"});
  const Tensor x = random_tensor({5, 24}, 7);
  const auto product = [](const Bounded& in, int64_t k, int64_t n, auto&& w) {
    const auto elements = static_cast<size_t>(5 * n);
    Bounded out = {std::vector<double>(elements, 0), std::vector<double>(elements, 0)};
    for (int64_t i = 0; i < 5 * n * k; ++i) {
      const int64_t row = i / (n * k), col = i / k % n, at = i % k;
      accumulate(in, static_cast<size_t>(row * k + at), w(at, col), k, out,
                 static_cast<size_t>(row * n + col));
    }
    return out;
  };
  const float *w1 = model.weights["w1"].data<float>(), *w2 = model.weights["w2"].data<float>();
  const Bounded a =
      relu(product(exact(x), 24, 40, [&](int64_t k, int64_t n) { return w1[k * 40 + n]; }));
  check(model, x, product(a, 40, 32, [&](int64_t k, int64_t n) { return w2[n * 40 + k]; }), 2, 1);
}

// The weights that batch normalization is folded into are rounded to bfloat16 again.
TEST(Bfloat16, SurvivesBatchNormalization) {
  Bfloat16Model model;
  model.weight("w", {16, 16, 1, 1});
  for (const char* name : {"scale", "variance"}) model.random(name, {16}, 0.5F, 2.0F);
  for (const char* name : {"shift", "mean"}) model.random(name, {16});
  model.input("x", {1, 16, 8, 8}).node("Conv", {"x", "w"}, "a");
  model.node("BatchNormalization", {"a", "scale", "shift", "mean", "variance"}, "y").output({"y"});
  const Tensor x = random_tensor({1, 16, 8, 8}, 8);
  Steps steps;
  const Tensor found = run(model.model, x, {}, steps);
  EXPECT_EQ(steps.bfloat16, bfloat16_is_fast() ? 1 : 0);
  const auto plain = test::run_model(model.model, {{"x", x}}, /*optimize=*/false);
  // Two roundings per product, 16 products of at most 1 times 2 / sqrt(0.5), against the range.
  const double bound = 2 * kBfloat16 * 16 * 2 / std::sqrt(0.5);
  for (int64_t i = 0; i < found.elements(); ++i) {
    ASSERT_NEAR(found.data<float>()[i], plain.at(0).tensor().data<float>()[i], bound) << i;
  }
}

TEST(Bfloat16, FloatWeightsStayFloat) {
  ModelBuilder model;
  model.random("w", {16, 16, 1, 1}).input("x", {1, 16, 8, 8});
  model.node("Conv", {"x", "w"}, "y").output({"y"});
  Steps steps;
  run(model.model, random_tensor({1, 16, 8, 8}, 9), {}, steps);
  EXPECT_EQ(steps.bfloat16 + steps.conversions, 0);
}

}  // namespace
}  // namespace fewbit
