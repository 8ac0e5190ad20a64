#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

OpCall resize(const Tensor& x, std::vector<float> scales) {
  const auto n = static_cast<int64_t>(scales.size());
  OpCall call("Resize", 19);
  call.in(x).none().in(floats({n}, std::move(scales)));
  return call;
}

OpCall resize_to(const Tensor& x, Ints sizes) {
  OpCall call("Resize", 19);
  call.in(x).none().none().in(int_list(std::move(sizes)));
  return call;
}

TEST(Resize, NearestRoundsAsAsked) {
  const Tensor x = floats({4}, {0, 1, 2, 3});
  const auto nearest = [&](const char* mode) {
    return values<float>(resize(x, {2})
                             .attr("coordinate_transformation_mode", std::string("asymmetric"))
                             .attr("nearest_mode", std::string(mode))
                             .output());
  };
  EXPECT_EQ(nearest("floor"), (std::vector<float>{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(nearest("ceil"), (std::vector<float>{0, 1, 1, 2, 2, 3, 3, 3}));
  EXPECT_EQ(nearest("round_prefer_floor"), (std::vector<float>{0, 0, 1, 1, 2, 2, 3, 3}));
  EXPECT_EQ(nearest("round_prefer_ceil"), (std::vector<float>{0, 1, 1, 2, 2, 3, 3, 3}));
}

TEST(Resize, NearestMovesAnyType) {
  const Tensor x = Tensor::strings({2}, {"a", "b"});
  const Tensor y = resize(x, {2}).output();
  EXPECT_EQ(std::vector<std::string>(y.strings().begin(), y.strings().end()),
            (std::vector<std::string>{"a", "a", "b", "b"}));
}

TEST(Resize, LinearInterpolatesAndClampsAtTheEdge) {
  const Tensor y =
      resize(floats({1, 2}, {0, 4}), {1, 2}).attr("mode", std::string("linear")).output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{0, 1, 3, 4}));
  const Tensor corners = resize_to(floats({2}, {0, 6}), {4})
                             .attr("mode", std::string("linear"))
                             .attr("coordinate_transformation_mode", std::string("align_corners"))
                             .output();
  EXPECT_EQ(values<float>(corners), (std::vector<float>{0, 2, 4, 6}));
}

// Weights that sum to one keep constants, whatever mode and scale.
TEST(Resize, ConstantsStayConstant) {
  const Tensor x = floats({1, 1, 5, 7}, std::vector<float>(35, 3.0F));
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const int64_t antialias : {0, 1}) {
      for (const int64_t outside : {0, 1}) {
        for (const float scale : {0.3F, 0.7F, 1.0F, 2.5F}) {
          const Tensor y = resize(x, {1, 1, scale, 0.5F})
                               .attr("mode", std::string(mode))
                               .attr("antialias", antialias)
                               .attr("exclude_outside", outside)
                               .output();
          for (const float v : values<float>(y)) EXPECT_NEAR(v, 3.0F, 1e-5F) << mode << scale;
        }
      }
    }
  }
}

TEST(Resize, IntegersAreCutOffWithinTheirRange) {
  // Cubic interpolation overshoots at a step.
  const Tensor y = resize(tensor<uint8_t>({4}, {0, 0, 255, 255}), {2})
                       .attr("mode", std::string("cubic"))
                       .output();
  const auto list = values<uint8_t>(y);
  EXPECT_EQ(list[2], 0);
  EXPECT_EQ(list[5], 255);
}

TEST(Resize, KeepsTheAspectRatio) {
  const Tensor x = floats({2, 4}, std::vector<float>(8, 1.0F));
  const auto dims = [&](const char* policy) {
    return resize_to(x, {4, 6})
        .attr("keep_aspect_ratio_policy", std::string(policy))
        .output()
        .dims();
  };
  EXPECT_EQ(dims("stretch"), (Dims{4, 6}));
  EXPECT_EQ(dims("not_larger"), (Dims{3, 6}));
  EXPECT_EQ(dims("not_smaller"), (Dims{4, 8}));
}

TEST(Resize, CropsWithExtrapolation) {
  OpCall call("Resize", 13);
  call.in(floats({3}, {1, 2, 3})).in(floats({2}, {0, 2})).none().in(int_list({3}));
  const Tensor y = call.attr("mode", std::string("linear"))
                       .attr("coordinate_transformation_mode", std::string("tf_crop_and_resize"))
                       .attr("extrapolation_value", -1.0F)
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{1, 3, -1}));
}

TEST(Resize, OldVersionsAndUpsample) {
  const Tensor x = floats({2}, {1, 2});
  const std::vector<float> doubled{1, 1, 2, 2};
  EXPECT_EQ(values<float>(OpCall("Resize", 10).in(x).in(floats({1}, {2})).output()), doubled);
  EXPECT_EQ(values<float>(OpCall("Upsample", 9).in(x).in(floats({1}, {2})).output()), doubled);
  EXPECT_EQ(
      values<float>(OpCall("Upsample", 7).in(x).attr("scales", std::vector<float>{2}).output()),
      doubled);
}

TEST(Resize, RefusesNonsense) {
  const Tensor x = floats({2}, {1, 2});
  EXPECT_NE(resize(x, {0}).error(), "");
  EXPECT_NE(resize(x, {-1}).error(), "");
  EXPECT_NE(resize(x, {NAN}).error(), "");
  EXPECT_NE(resize(x, {1e30F}).error(), "");
  EXPECT_NE(resize(x, {1e15F}).error(), "");
  EXPECT_NE(resize(x, {1, 1}).error(), "");
  EXPECT_NE(resize_to(x, {-1}).error(), "");
  EXPECT_NE(resize_to(x, {INT64_MAX}).error(), "");
  EXPECT_NE(resize(floats({0}, {}), {2}).attr("axes", Ints{3}).error(), "");
  EXPECT_NE(resize_to(floats({0}, {}), {2}).error(), "");
  EXPECT_NE(resize(x, {2}).attr("mode", std::string("sharp")).error(), "");
  EXPECT_NE(resize(x, {2}).attr("nearest_mode", std::string("odd")).error(), "");
  EXPECT_NE(OpCall("Resize", 19).in(x).error(), "");
}

TEST(GridSample, ReadsBetweenAndBeyond) {
  const auto sample = [](float at, const char* padding, const char* mode, int64_t align) {
    return OpCall("GridSample", 20)
        .in(floats({1, 1, 4}, {0, 10, 20, 30}))
        .in(floats({1, 1, 1}, {at}))
        .attr("padding_mode", std::string(padding))
        .attr("mode", std::string(mode))
        .attr("align_corners", align)
        .output()
        .data<float>()[0];
  };
  EXPECT_EQ(sample(0, "zeros", "linear", 1), 15);
  EXPECT_EQ(sample(1, "zeros", "linear", 1), 30);
  EXPECT_EQ(sample(1, "zeros", "linear", 0), 15);  // half a pixel outside
  EXPECT_EQ(sample(1, "border", "linear", 0), 30);
  EXPECT_FLOAT_EQ(sample(5.0F / 3, "reflection", "linear", 1), 20);
  EXPECT_EQ(sample(-0.5F, "zeros", "nearest", 1), 10);
  EXPECT_FLOAT_EQ(sample(-1.0F / 3, "zeros", "cubic", 1), 10);
  EXPECT_FLOAT_EQ(sample(100, "border", "cubic", 1), 30);
  for (const char* padding : {"zeros", "border", "reflection"}) {
    for (const float at : {INFINITY, -INFINITY, NAN, 3e38F}) {
      for (const char* mode : {"nearest", "linear", "cubic"}) sample(at, padding, mode, 0);
    }
  }
}

TEST(AffineGrid, IdentityGivesPixelCentres) {
  const auto grid = [](int64_t align) {
    return values<float>(OpCall("AffineGrid", 20)
                             .in(floats({1, 2, 3}, {1, 0, 0, 0, 1, 0}))
                             .in(int_list({1, 1, 1, 2}))
                             .attr("align_corners", align)
                             .output());
  };
  EXPECT_EQ(grid(0), (std::vector<float>{-0.5F, 0, 0.5F, 0}));
  EXPECT_EQ(grid(1), (std::vector<float>{-1, -1, 1, -1}));
  EXPECT_NE(OpCall("AffineGrid", 20)
                .in(floats({1, 2, 3}, {1, 0, 0, 0, 1, 0}))
                .in(int_list({1, 1, -1, 2}))
                .error(),
            "");
}

}  // namespace
}  // namespace fewbit::ops
