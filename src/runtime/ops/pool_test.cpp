#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

Tensor counting(Dims dims) {
  std::vector<float> list(static_cast<size_t>(elements_of(dims)));
  std::iota(list.begin(), list.end(), 0.0F);
  return floats(std::move(dims), list);
}

TEST(MaxPool, GivesRowAndColumnMajorIndices) {
  const auto pool = [](int64_t order) {
    auto result = OpCall("MaxPool", 12)
                      .in(counting({1, 2, 2, 4}))
                      .attr("kernel_shape", Ints{2, 2})
                      .attr("strides", Ints{2, 2})
                      .attr("storage_order", order)
                      .outputs(2)
                      .run();
    return values<int64_t>((*result)[1].tensor());
  };
  EXPECT_EQ(pool(0), (Ints{5, 7, 13, 15}));
  // Column-major: element (1, 1) of 2 x 4 is 1 + 1 * 2 = 3.
  EXPECT_EQ(pool(1), (Ints{3, 7, 11, 15}));
}

TEST(MaxPool, CeilModeLeavesOutWindowsInThePadding) {
  const auto extent = [](int64_t length, int64_t pad) {
    return OpCall("MaxPool", 12)
        .in(counting({1, 1, length}))
        .attr("kernel_shape", Ints{2})
        .attr("strides", Ints{2})
        .attr("pads", Ints{pad, pad})
        .attr("ceil_mode", int64_t{1})
        .output()
        .dim(2);
  };
  EXPECT_EQ(extent(5, 0), 3);
  EXPECT_EQ(extent(4, 1), 3);
  EXPECT_EQ(extent(5, 1), 3);  // a fourth window would start at 6, in the padding
}

TEST(AveragePool, CountsPaddingWhenAsked) {
  const auto pool = [](int64_t include) {
    return values<float>(OpCall("AveragePool", 19)
                             .in(floats({1, 1, 3}, {3, 6, 9}))
                             .attr("kernel_shape", Ints{3})
                             .attr("pads", Ints{1, 1})
                             .attr("count_include_pad", include)
                             .output());
  };
  EXPECT_EQ(pool(0), (std::vector<float>{4.5F, 6, 7.5F}));
  EXPECT_EQ(pool(1), (std::vector<float>{3, 6, 5}));
}

TEST(Pool, NormsAndGlobalForms) {
  EXPECT_EQ(values<float>(OpCall("LpPool", 18)
                              .in(floats({1, 1, 2}, {3, -4}))
                              .attr("kernel_shape", Ints{2})
                              .output()),
            (std::vector<float>{5}));
  EXPECT_EQ(values<float>(OpCall("GlobalLpPool", 2)
                              .in(floats({1, 1, 3}, {1, -2, 4}))
                              .attr("p", int64_t{1})
                              .output()),
            (std::vector<float>{7}));
  const Tensor x = floats({1, 2, 1, 2}, {1, 3, -5, NAN});
  EXPECT_EQ(OpCall("GlobalAveragePool", 1).in(x).output().data<float>()[0], 2);
  const Tensor top = OpCall("GlobalMaxPool", 1).in(x).output();
  EXPECT_EQ(top.dims(), (Dims{1, 2, 1, 1}));
  EXPECT_EQ(top.data<float>()[0], 3);
  EXPECT_TRUE(std::isnan(top.data<float>()[1]));
}

TEST(MaxUnpool, RefusesIndicesOutside) {
  const auto unpool = [](int64_t index) {
    return OpCall("MaxUnpool", 11)
        .in(floats({1, 1, 1}, {7}))
        .in(ints({1, 1, 1}, {index}))
        .attr("kernel_shape", Ints{2})
        .attr("strides", Ints{2});
  };
  EXPECT_EQ(values<float>(unpool(1).output()), (std::vector<float>{0, 7}));
  EXPECT_NE(unpool(2).error(), "");
  EXPECT_NE(unpool(-1).error(), "");
}

TEST(Roi, BadRegionsAreErrors) {
  const Tensor x = counting({1, 1, 4, 4});
  const auto align = [&](std::vector<float> roi, int64_t batch) {
    return OpCall("RoiAlign", 16).in(x).in(floats({1, 4}, std::move(roi))).in(ints({1}, {batch}));
  };
  EXPECT_EQ(align({0, 0, 3, 3}, 0).output().elements(), 1);
  EXPECT_NE(align({0, 0, 3, 3}, 1).error(), "");
  EXPECT_NE(align({0, 0, INFINITY, 3}, 0).error(), "");
  EXPECT_NE(align({0, 0, NAN, 3}, 0).error(), "");
  EXPECT_NE(OpCall("MaxRoiPool", 1)
                .in(x)
                .in(floats({1, 5}, {NAN, 0, 0, 1, 1}))
                .attr("pooled_shape", Ints{1, 1})
                .error(),
            "");
}

TEST(MaxRoiPool, SplitsTheRegionIntoBins) {
  const Tensor y = OpCall("MaxRoiPool", 1)
                       .in(counting({1, 1, 4, 4}))
                       .in(floats({1, 5}, {0, 0, 0, 3, 3}))
                       .attr("pooled_shape", Ints{2, 2})
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{5, 7, 13, 15}));
}

TEST(Pool, HostileAttributesAreErrorsAndQuick) {
  const int64_t huge = int64_t{1} << 40;
  EXPECT_NE(OpCall("MaxPool", 12).in(counting({1, 1, 4})).attr("kernel_shape", Ints{huge}).error(),
            "");
  EXPECT_NE(OpCall("MaxPool", 12).in(counting({1, 1, 4})).attr("kernel_shape", Ints{5}).error(),
            "");
  EXPECT_NE(OpCall("AveragePool", 12).in(counting({1, 1, 4})).error(), "");
  // A huge padded window is no error, and only the elements inside are walked.
  const int64_t wide = int64_t{1} << 28;
  const Tensor y = OpCall("AveragePool", 12)
                       .in(floats({1, 1, 2}, {2, 4}))
                       .attr("kernel_shape", Ints{wide})
                       .attr("pads", Ints{wide - 2, 0})
                       .output();
  EXPECT_EQ(values<float>(y), (std::vector<float>{3}));
}

}  // namespace
}  // namespace fewbit::ops
