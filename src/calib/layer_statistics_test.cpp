#include "calib/layer_statistics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace fewbit {
namespace {

struct Case {
  const char* name;
  PatchGeometry geometry;
  Dims dims;
};

const Case kCases[] = {
    {"dense", {.channels = 7}, {5, 3, 7}},
    {"pointwise", {.channels = 6, .spatial = true}, {2, 6, 4, 5}},
    {"padded and strided",
     {.channels = 3,
      .spatial = true,
      .kernel_h = 3,
      .kernel_w = 2,
      .stride_h = 2,
      .pad_top = 1,
      .pad_left = 1,
      .pad_bottom = 2},
     {2, 3, 7, 6}},
    {"dilated",
     {.channels = 2,
      .spatial = true,
      .kernel_h = 3,
      .kernel_w = 3,
      .dilation_h = 2,
      .pad_right = 3},
     {1, 2, 8, 5}},
    {"grouped",
     {.groups = 2, .channels = 6, .spatial = true, .kernel_h = 2, .kernel_w = 2},
     {3, 6, 4, 4}},
    {"depthwise",
     {.groups = 4,
      .channels = 4,
      .spatial = true,
      .kernel_h = 3,
      .kernel_w = 3,
      .pad_top = 1,
      .pad_left = 1,
      .pad_bottom = 1,
      .pad_right = 1},
     {2, 4, 5, 5}},
    {"one-dimensional",
     {.channels = 3, .spatial = true, .kernel_w = 3, .stride_w = 2, .pad_left = 1},
     {2, 3, 9}},
    {"larger than the input",
     {.channels = 1, .spatial = true, .kernel_h = 5, .kernel_w = 5},
     {1, 1, 3, 3}},
};

// Every patch of one group, written out: [patches][K].
std::vector<std::vector<double>> patches_of(const Case& c, const std::vector<double>& values,
                                            int64_t group) {
  const PatchGeometry& g = c.geometry;
  std::vector<std::vector<double>> patches;
  const int64_t in_group = g.channels / g.groups;
  if (!g.spatial) {
    for (size_t row = 0; row < values.size(); row += static_cast<size_t>(g.channels)) {
      patches.emplace_back(values.begin() + static_cast<int64_t>(row),
                           values.begin() + static_cast<int64_t>(row) + g.channels);
    }
    return patches;
  }
  const int64_t height = c.dims.size() == 3 ? 1 : c.dims[2];
  const int64_t width = c.dims.back();
  const int64_t last_y = height + g.pad_top + g.pad_bottom - (g.kernel_h - 1) * g.dilation_h - 1;
  const int64_t last_x = width + g.pad_left + g.pad_right - (g.kernel_w - 1) * g.dilation_w - 1;
  for (int64_t n = 0; n < c.dims[0]; ++n) {
    for (int64_t top = 0; top <= last_y; top += g.stride_h) {
      for (int64_t left = 0; left <= last_x; left += g.stride_w) {
        std::vector<double> patch;
        for (int64_t ch = group * in_group; ch < (group + 1) * in_group; ++ch) {
          for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
            for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
              const int64_t y = top + ky * g.dilation_h - g.pad_top;
              const int64_t x = left + kx * g.dilation_w - g.pad_left;
              const bool in = y >= 0 && y < height && x >= 0 && x < width;
              const int64_t at = ((n * g.channels + ch) * height + y) * width + x;
              patch.push_back(in ? values[static_cast<size_t>(at)] : 0.0);
            }
          }
        }
        patches.push_back(std::move(patch));
      }
    }
  }
  return patches;
}

void expect_statistics(const Case& c, const std::vector<double>& values, const LayerStatistics& s) {
  const auto k = static_cast<size_t>(c.geometry.group_elems());
  const std::vector<double> means = s.means();
  ASSERT_EQ(means.size(), k * static_cast<size_t>(c.geometry.groups));
  ASSERT_EQ(s.gram().size(), means.size() * k);
  for (int64_t group = 0; group < c.geometry.groups; ++group) {
    const auto patches = patches_of(c, values, group);
    EXPECT_EQ(s.gram_patches(), static_cast<int64_t>(patches.size()));
    for (size_t i = 0; i < k; ++i) {
      double sum = 0;
      double magnitude = 0;
      for (const auto& p : patches) {
        sum += p[i];
        magnitude += std::abs(p[i]);
      }
      // Rows are summed in float: one rounding per value of a row at most.
      const double eps = 1.2e-7;
      const double n = std::max<double>(static_cast<double>(patches.size()), 1);
      EXPECT_NEAR(means[static_cast<size_t>(group) * k + i], sum / n, 16 * eps * magnitude / n);
      for (size_t j = i; j < k; ++j) {
        double dot = 0;
        double bound = 0;
        for (const auto& p : patches) {
          dot += p[i] * p[j];
          bound += std::abs(p[i] * p[j]);
        }
        const size_t at = (static_cast<size_t>(group) * k + i) * k + j;
        EXPECT_NEAR(s.gram()[at], dot, eps * n * bound) << i << ", " << j;
      }
    }
  }
}

constexpr LayerStatistics::Options kEveryPatch = {.gram = true, .positions = 1 << 20};

TEST(LayerStatistics, MeansAndGramAreThoseOfThePatchesWrittenOut) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Random random(3);
    Tensor x = Tensor::zeros(DType::kFloat32, c.dims);
    for (float& v : x.span<float>()) v = static_cast<float>(random.normal());
    LayerStatistics s(c.geometry, kEveryPatch);
    s.add(x);
    const std::vector<double> values(x.span<float>().begin(), x.span<float>().end());
    expect_statistics(c, values, s);
  }
}

// Codes mean scale * (code - zero); what padding adds is a real zero, not the code 0.
template <typename T>
void expect_codes(float scale, int32_t zero) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    Random random(5);
    Tensor codes = Tensor::zeros(DTypeOf<T>::value, c.dims);
    std::vector<double> values;
    for (T& v : codes.span<T>()) {
      v = static_cast<T>(std::lround(random.normal() * 40) + zero);
      values.push_back(static_cast<double>(scale) * (static_cast<double>(v) - zero));
    }
    LayerStatistics s(c.geometry, kEveryPatch);
    s.add_codes(codes, scale, zero);
    expect_statistics(c, values, s);
  }
}

TEST(LayerStatistics, CodesAreReadAsTheValuesTheyStandFor) {
  expect_codes<uint8_t>(0.25F, 128);
  expect_codes<int8_t>(0.5F, -3);
  expect_codes<uint16_t>(0.125F, 30000);
  expect_codes<int16_t>(0.25F, 0);
}

TEST(LayerStatistics, BatchesAddUpAndSampledPatchesStayWithinTheirNumber) {
  const PatchGeometry g = {.channels = 2, .spatial = true, .kernel_h = 3, .kernel_w = 3};
  LayerStatistics s(g, {.gram = true, .positions = 5});
  Tensor x = Tensor::zeros(DType::kFloat32, {3, 2, 9, 9});
  for (float& v : x.span<float>()) v = 2;
  s.add(x);
  s.add(x);
  EXPECT_EQ(s.gram_patches(), 6 * 5);
  for (double m : s.means()) EXPECT_DOUBLE_EQ(m, 2);
  const auto k = static_cast<size_t>(g.group_elems());
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = i; j < k; ++j) EXPECT_FLOAT_EQ(s.gram()[i * k + j], 30 * 4);
  }
}

}  // namespace
}  // namespace fewbit
