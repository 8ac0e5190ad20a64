#include "formats/affine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "formats/weight_sources.h"

namespace fewbit {
namespace {

// Rows of 300 weights end inside a group and inside a block.
constexpr int64_t kRows = 5, kCols = 300;

TEST(AffineForm, IsTheDecodedWeightWithinRounding) {
  int affine = 0;
  for (const FormatRow* row : format_table()) {
    const Format format = default_format(*row);
    const std::optional<AffineForm> form = affine_form(format, kCols);
    if (!form) continue;
    ++affine;
    const PackedMatrix m =
        *encode(format, {normal_values(kRows * kCols, 1), kRows, kCols, {}}, {.search = false});
    const std::vector<float> decoded = decode(m);
    const int64_t groups = (kCols + form->group_elems - 1) / form->group_elems;
    std::vector<uint8_t> codes(kCols);
    std::vector<float> scales(static_cast<size_t>(groups)), offsets(scales.size());
    for (int64_t r = 0; r < kRows; ++r) {
      affine_row(m, r, codes.data(), scales.data(), offsets.data());
      for (int64_t k = 0; k < kCols; ++k) {
        const auto g = static_cast<size_t>(k / form->group_elems);
        const uint8_t code = codes[static_cast<size_t>(k)];
        ASSERT_LT(code, 1 << form->bits) << row->name;
        // Two roundings of numbers as large as scale * code and offset.
        const double w = static_cast<double>(scales[g]) * code + offsets[g];
        const double size = std::fabs(scales[g]) * code + std::fabs(offsets[g]);
        ASSERT_NEAR(decoded[static_cast<size_t>(r * kCols + k)], w, size * 0x1p-22) << row->name;
        if (form->zero) {
          ASSERT_EQ(offsets[g], -scales[g] * static_cast<float>(*form->zero)) << row->name;
        }
      }
    }
  }
  EXPECT_EQ(affine, 31);
}

TEST(AffineForm, IsNotThatOfTables) {
  for (const char* name : {"nf4", "fp4e2m1", "log3", "iq4_nl", "iq4_xs", "dual4", "codebook4",
                           "vq4_1x8", "sherry1.25", "fp16"}) {
    EXPECT_FALSE(affine_form(*parse_format(name), 256).has_value()) << name;
  }
}

}  // namespace
}  // namespace fewbit
