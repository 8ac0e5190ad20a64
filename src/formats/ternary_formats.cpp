// Ternary and binary weights.
//
//   ternary      w = scale * (code - 1), code in {0, 1, 2}, 2 bits each (code_planes.h)
//   ternary1.67  the same, three codes in 5 bits            (code_packing.h)
//   ternary1.6   the same, five codes in a byte             (code_packing.h)
//   binary       w = scale * (2 code - 1), 1 bit each
//
// Without search the scale is the mean magnitude, as BitNet b1.58 and XNOR-Net have it; with search
// the one of least squared error.
// Sources: S. Ma et al., The Era of 1-bit LLMs, 2024 (arXiv:2402.17764); M. Rastegari et al.,
// XNOR-Net, 2016 (arXiv:1603.05279); F. Li et al., Ternary Weight Networks, 2016.

#include <array>

#include "formats/format_table.h"
#include "formats/leveled.h"

namespace fewbit::formats {
namespace {

constexpr LevelGrid few_levels(LevelGrid grid, float search_low) {
  grid.plain_mean = true;
  grid.search_low = search_low;
  grid.search_high = 1.0F;
  return grid;
}

constexpr LevelGrid kTernaryGrid =
    few_levels(table_grid(2, std::array<float, 3>{-1.0F, 0.0F, 1.0F}), 0.2F);
constexpr Leveled kTernary = {kTernaryGrid};
constexpr Leveled kTernary3In5 = {kTernaryGrid, CodePacking::kTrits3In5};
constexpr Leveled kTernary5In8 = {kTernaryGrid, CodePacking::kTrits5In8};
constexpr Leveled kBinary = {few_levels(table_grid(1, std::array<float, 2>{-1.0F, 1.0F}), 0.1F)};

constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        std::string_view source, const Leveled* leveled) {
  FormatRow r = leveled_row(id, name, leveled);
  r.summary = summary;
  r.source = source;
  r.default_group = 128;
  r.files = kOnnxFile;
  return r;
}

constexpr std::string_view kBitNet = "S. Ma et al., 2024 (arXiv:2402.17764)";

constexpr std::array<FormatRow, 4> kRows = {
    row(54, "ternary", "-1, 0, 1 in 2 bits", kBitNet, &kTernary),
    row(55, "ternary1.67", "-1, 0, 1, three in 5 bits",
        "J. Wang et al., 2025 (arXiv:2502.11880), TL2", &kTernary3In5),
    row(56, "ternary1.6", "-1, 0, 1, five in a byte", kBitNet, &kTernary5In8),
    row(57, "binary", "-1, 1", "M. Rastegari et al., 2016 (arXiv:1603.05279)", &kBinary),
};

}  // namespace

std::span<const FormatRow> ternary_rows() {
  return kRows;
}

}  // namespace fewbit::formats
