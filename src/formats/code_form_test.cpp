#include "formats/code_form.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "formats/affine.h"
#include "formats/weight_sources.h"

namespace fewbit {
namespace {

// Rows of 300 weights end inside a group and inside a block.
constexpr int64_t kRows = 5, kCols = 300;

TEST(CodeForm, IsTheDecodedWeightWithinRounding) {
  int tables = 0;
  for (const FormatRow* row : format_table()) {
    const Format format = default_format(*row);
    const std::optional<CodeForm> form = code_form(format, kCols);
    EXPECT_GE(form.has_value(), affine_form(format, kCols).has_value()) << row->name;
    if (!form) continue;
    tables += form->levels.empty() ? 0 : 1;
    const PackedMatrix m =
        *encode(format, {normal_values(kRows * kCols, 1), kRows, kCols, {}}, {.search = false});
    const std::vector<float> decoded = decode(m);
    const int64_t groups = (kCols + form->group_elems - 1) / form->group_elems;
    std::vector<uint8_t> codes(kCols);
    std::vector<float> scales(static_cast<size_t>(groups)), offsets(scales.size());
    for (int64_t r = 0; r < kRows; ++r) {
      code_row(m, r, codes.data(), scales.data(), offsets.data());
      for (int64_t k = 0; k < kCols; ++k) {
        const auto g = static_cast<size_t>(k / form->group_elems);
        const uint8_t code = codes[static_cast<size_t>(k)];
        ASSERT_LT(code, 1 << form->bits) << row->name;
        const float level = form->levels.empty() ? code : form->levels[code];
        const double w = static_cast<double>(scales[g]) * level + offsets[g];
        const double size = std::fabs(scales[g] * level) + std::fabs(offsets[g]);
        ASSERT_NEAR(decoded[static_cast<size_t>(r * kCols + k)], w, size * 0x1p-22) << row->name;
      }
    }
  }
  EXPECT_EQ(tables, 18);
}

TEST(CodeForm, ScalesAreMultiplesOfTheRowsUnit) {
  for (const char* name : {"int4/g32:u6", "nvfp4", "fp4e2m1/g32:u4"}) {
    const PackedMatrix m =
        *encode(*parse_format(name), {normal_values(2 * 64, 1), 2, 64, {}}, {.search = false});
    std::vector<uint8_t> codes(64);
    std::vector<float> scales(4), offsets(4);
    for (int64_t r = 0; r < 2; ++r) {
      code_row(m, r, codes.data(), scales.data(), offsets.data());
      const float unit = code_row_unit(m, r);
      EXPECT_NE(unit, 1.0F) << name;
      for (size_t g = 0; g < 64 / static_cast<size_t>(code_form(m.format, 64)->group_elems); ++g) {
        const float ratio = scales[g] / unit * 512;  // e4m3 ends at 2^-9
        EXPECT_NEAR(ratio, std::round(ratio), 1e-3F * ratio) << name;
      }
    }
  }
  EXPECT_EQ(code_row_unit(*encode(*parse_format("int4/g32"), {normal_values(64, 1), 1, 64, {}}), 0),
            1);
}

TEST(CodeForm, IsNotThatOfLearnedTables) {
  for (const char* name : {"dual4", "codebook4", "vq4_1x8", "sherry1.25", "fp16"}) {
    EXPECT_FALSE(code_form(*parse_format(name), 256).has_value()) << name;
  }
}

}  // namespace
}  // namespace fewbit
