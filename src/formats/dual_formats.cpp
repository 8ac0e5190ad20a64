// dual3, dual4: two level tables that were designed together; each group takes the one that suits
// it, as it is or mirrored.
//
//   codes   [rows, ceil(cols / 8) * b]    bytes: planes of 4, 2 and 1 bits (code_planes.h)
//   scales  [rows, groups]                float16 (f32, bf16), of either sign
//
//             15 14                1   0
//   scale     s  eeeee mmmmmmmmm      t      s: the sign, which mirrors the table
//                                           t: the lowest bit of the mantissa is also the table
//
//   w = scale * table[t][code]               levels are integers in [-127, 127]
//
// The choice takes no storage: the encoder takes the nearest scale with the lowest bit that it
// wants, which moves a float16 scale by at most 2^-10 (bf16: 2^-7) of itself, and t belongs to the
// scale's value as before, so that nothing has to be masked. A scale of 0 stands for a group of
// zeros.
//
// The tables are those of least squared error on normal and Student's t(4) weights in groups of 32:
// scripts/design_dual_tables.py finds them. The first is the more even one, for groups without
// outliers; the second is denser near zero. Neither is symmetric, hence the mirror. Two tables make
// 11 % less error than the best single one.
//
// An element within the table's reach has an error of at most half a gap between levels: 7 to 23 %
// of what the largest level stands for with 3 bits, 3 to 19 % with 4. EncodeOptions::search tries
// 16 scales with each of the four tables, twice refined by least squares: within 3 % of the error
// of an exhaustive search. Without it the largest magnitude of a group takes the largest level of
// the first table.
//
// Sources: the idea of a bit that picks one of two tables: I. Kawrakow, ik_llama.cpp, iq4_k, 2024;
// levels by S. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 1982.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "formats/code_planes.h"
#include "formats/format_table.h"
#include "formats/row_input.h"
#include "formats/search_kernels.h"

namespace fewbit::formats {
namespace {

constexpr int64_t kLargestGroup = 256;

struct DualDetail {
  int bits;
  std::array<std::array<int8_t, 16>, 2> tables;  // ascending
};

const DualDetail& detail_of(const Format& format) {
  return *static_cast<const DualDetail*>(format.row->detail);
}

LevelTable level_table(const DualDetail& detail, unsigned which, bool mirrored) {
  LevelTable table;
  table.count = 1 << detail.bits;
  const auto n = static_cast<size_t>(table.count);
  for (size_t k = 0; k < n; ++k) {
    table.levels[k] = mirrored ? -detail.tables[which][n - 1 - k] : detail.tables[which][k];
  }
  for (size_t k = 0; k + 1 < n; ++k) {
    table.middles[k] = (table.levels[k] + table.levels[k + 1]) / 2;
  }
  return table;
}

// A group in units of its largest magnitude that counts; what does not count is 0.
struct Group {
  int64_t count = 0;
  double peak = 0;
  std::array<float, kLargestGroup> values{};
  std::array<float, kLargestGroup> weights{};
};

void fill_group(const RowInput& in, bool weighted, Group& group) {
  const size_t n = in.values.size();
  double heaviest = 0;
  group.peak = 0;
  for (size_t i = 0; i < n; ++i) {
    const double weight = weighted ? in.weight(i) : 1.0;
    heaviest = std::max(heaviest, weight);
    if (weight > 0) group.peak = std::max(group.peak, std::fabs(static_cast<double>(in.values[i])));
  }
  group.count = static_cast<int64_t>(n);
  if (group.peak == 0) return;
  for (size_t i = 0; i < n; ++i) {
    const double weight = weighted ? in.weight(i) : 1.0;
    if (weight == 0) continue;
    group.values[i] = static_cast<float>(in.values[i] / group.peak);
    group.weights[i] = static_cast<float>(weight / heaviest);
  }
}

struct Choice {
  unsigned which = 0;
  bool mirrored = false;
  double scale = 0;  // above 0
};

// What the largest level stands for, in units of the largest magnitude.
constexpr std::array<float, kSearchLanes> kReaches = {0.50F, 0.60F, 0.68F, 0.74F, 0.79F, 0.83F,
                                                      0.87F, 0.90F, 0.93F, 0.96F, 0.99F, 1.02F,
                                                      1.05F, 1.08F, 1.12F, 1.18F};
constexpr int kRefinements = 2;

using FourTables = std::array<LevelTable, 4>;  // table + 2 * mirrored

// Every table with every reach, each followed by refinements: to the best scale for the levels
// taken, and from there to the levels nearest to that scale.
Choice search(const Group& group, const FourTables& tables) {
  const SearchKernels& kernels = search_kernels();
  float best_gain = 0;
  size_t best_table = 0;
  float best_scale = 1.0F / 127;
  for (size_t t = 0; t < tables.size(); ++t) {
    ScaleTrials trials;
    for (size_t l = 0; l < kReaches.size(); ++l) trials.inverse_scale[l] = 127 / kReaches[l];
    for (int round = 0; round <= kRefinements; ++round) {
      kernels.try_scales(tables[t], group.values.data(), group.weights.data(), group.count, trials);
      for (size_t l = 0; l < kReaches.size(); ++l) {
        const float dot = trials.dot[l];
        const float norm = trials.norm[l];
        if (!(dot > 0 && norm > 0)) continue;
        if (dot * dot / norm > best_gain) {
          best_gain = dot * dot / norm;
          best_table = t;
          best_scale = dot / norm;
        }
        trials.inverse_scale[l] = norm / dot;
      }
    }
  }
  return {static_cast<unsigned>(best_table % 2), best_table >= 2,
          static_cast<double>(best_scale) * group.peak};
}

// The first table; the element of largest magnitude takes the level 127.
Choice from_largest(const RowInput& in, const Group& group) {
  bool negative = false;
  for (const float x : in.values) {
    if (std::fabs(x) == group.peak) {
      negative = x < 0;
      break;
    }
  }
  return {0, negative, group.peak / 127};
}

bool low_bit_of(ScaleType type, const void* scales, int64_t index) {
  const int64_t bytes = bits_of(type) / 8;
  return (static_cast<const uint8_t*>(scales)[index * bytes] & 1) != 0;
}

// The nearest value of the type, of the same sign, whose lowest bit is `low_bit`; not 0.
float round_with_low_bit(ScaleType type, double scale, bool low_bit) {
  uint32_t bits = 0;
  store_scale(type, round_scale(type, static_cast<float>(std::fabs(scale))), &bits, 0);
  float best = 0;
  for (const uint32_t candidate : {bits, bits - 1, bits + 1}) {
    const float value = load_scale(type, &candidate, 0);
    if ((candidate & 1) != (low_bit ? 1U : 0U) || value == 0 || !std::isfinite(value)) continue;
    const double distance = std::fabs(value - std::fabs(scale));
    if (best == 0 || distance < std::fabs(best - std::fabs(scale))) best = value;
  }
  return std::copysign(best, static_cast<float>(scale));
}

// codes[i] = the level nearest to values[i] / scale: an ascending table if scale > 0.
void nearest_codes(std::span<const float> values, float scale, const LevelTable& table,
                   uint8_t* codes) {
  std::fill_n(codes, values.size(), uint8_t{0});
  const float side = scale < 0 ? -1.0F : 1.0F;
  for (int k = 1; k < table.count; ++k) {
    const double middle =
        std::fabs(static_cast<double>(scale)) * table.middles[static_cast<size_t>(k - 1)];
    const auto code = static_cast<uint8_t>(k);
    for (size_t i = 0; i < values.size(); ++i) {
      codes[i] = side * values[i] > middle ? code : codes[i];
    }
  }
}

Status encode_group(const RowInput& in, const EncodeOptions& options, const FourTables& tables,
                    int64_t row, int64_t column, int64_t index, PackedMatrix& out, uint8_t* codes) {
  const Format& format = out.format;
  const bool weighted = options.search && std::any_of(in.importance.begin(), in.importance.end(),
                                                      [](float w) { return w > 0; });
  Group group;
  fill_group(in, weighted, group);
  if (group.peak == 0) {
    std::fill_n(codes, in.values.size(), uint8_t{0});
    return {};  // the scale is 0 already
  }
  const Choice choice = options.search ? search(group, tables) : from_largest(in, group);
  FEWBIT_TRY(check_holds(format, choice.scale, row, column));
  const float scale = round_with_low_bit(
      format.scale, choice.mirrored ? -choice.scale : choice.scale, choice.which == 1);
  store_scale(format.scale, scale, out.parts[1].raw(), index);
  nearest_codes(in.values, scale, tables[choice.which], codes);
  return {};
}

void dual_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  out.push_back({"codes", DType::kUint8, {rows, plane_bytes(cols, detail_of(format).bits)}});
  out.push_back({"scales", storage_of(format.scale), {rows, groups_per_row(format, cols)}});
}

Status encode_dual(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                   int64_t row_end, PackedMatrix& out) {
  const DualDetail& detail = detail_of(out.format);
  const FourTables tables = {level_table(detail, 0, false), level_table(detail, 1, false),
                             level_table(detail, 0, true), level_table(detail, 1, true)};
  const int64_t size = out.format.group_elems;
  const int64_t groups = groups_per_row(out.format, in.cols);
  std::vector<uint8_t> codes(static_cast<size_t>(in.cols));
  for (int64_t r = row_begin; r < row_end; ++r) {
    for (int64_t g = 0; g < groups; ++g) {
      const RowInput part = row_input(in, r).part(g * size, std::min((g + 1) * size, in.cols));
      FEWBIT_TRY(encode_group(part, options, tables, r, g * size, r * groups + g, out,
                              codes.data() + g * size));
    }
    pack_planes(codes.data(), in.cols, detail.bits,
                out.parts[0].data<uint8_t>() + r * out.parts[0].dim(1));
  }
  return {};
}

void decode_dual(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const Format& format = matrix.format;
  const DualDetail& detail = detail_of(format);
  const int64_t size = format.group_elems;
  const int64_t groups = groups_per_row(format, matrix.cols);
  const std::byte* scales = matrix.parts[1].raw();
  std::vector<uint8_t> codes(static_cast<size_t>(matrix.cols));
  for (int64_t r = row_begin; r < row_end; ++r) {
    unpack_planes(matrix.parts[0].data<uint8_t>() + r * matrix.parts[0].dim(1), matrix.cols,
                  detail.bits, codes.data());
    for (int64_t c = 0; c < matrix.cols; ++c) {
      const int64_t index = r * groups + c / size;
      const auto& table = detail.tables[low_bit_of(format.scale, scales, index) ? 1 : 0];
      *out++ = load_scale(format.scale, scales, index) *
               static_cast<float>(table[codes[static_cast<size_t>(c)]]);
    }
  }
}

// Printed by scripts/design_dual_tables.py.
constexpr DualDetail kDual3 = {
    3, {{{-108, -63, -32, -7, 18, 45, 79, 127}, {-70, -39, -17, 0, 17, 38, 68, 127}}}};
constexpr DualDetail kDual4 = {
    4,
    {{{-113, -91, -72, -55, -40, -27, -15, -3, 8, 19, 30, 42, 56, 74, 96, 127},
      {-125, -76, -57, -43, -31, -20, -11, -2, 6, 15, 25, 36, 49, 65, 89, 127}}}};

constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        const DualDetail& detail) {
  FormatRow r;
  r.id = id;
  r.name = name;
  r.summary = summary;
  r.source = "Fewbit; two tables and a bit as in ik_llama.cpp's iq4_k";
  r.groups = true;
  r.default_group = 32;
  r.scales = kFloatScales;
  r.default_scale = ScaleType::kFloat16;
  r.parts = dual_parts;
  r.encode = encode_dual;
  r.decode = decode_dual;
  r.detail = &detail;
  return r;
}

constexpr std::array<FormatRow, 2> kRows = {
    row(64, "dual3", "3-bit codes for one of two level tables, chosen per group", kDual3),
    row(65, "dual4", "4-bit codes for one of two level tables, chosen per group", kDual4),
};

}  // namespace

std::span<const FormatRow> dual_rows() {
  return kRows;
}

}  // namespace fewbit::formats
