// codebook2, codebook3, codebook4: free levels, as many as codes of b bits can name.
//
//   codes   [rows, ceil(cols / 8) * b]    bytes: planes of 4, 2 and 1 bits (code_planes.h)
//   levels  [rows, groups, 2^b]           float16 (f32, bf16), ascending; [1, 1, 2^b] for /tensor
//
//   w = levels[row, group, code]
//
// The levels cost 16 * 2^b / (weights that share them) bits per weight: for codebook4 1/16 with a
// row of 4096, 2 with /g128, 4 with /g64; codebook2/g64 takes 1.
//
// They are the optimum of weighted k-means on the line (kmeans_1d.h), exactly: before the levels
// are rounded, no other choice has a smaller error. An element's error is at most half the distance
// of its two neighbour levels, plus their rounding, 2^-11 |level|, or 2^-25 below 2^-14. One
// codebook for more than 65536 values is learned from their first 12 significant bits. Without
// EncodeOptions::search: Lloyd's algorithm from evenly spaced levels, as its source has it.
//
// Sources: S. Han et al., "Deep Compression", ICLR 2016, section 3 (shared weights, linear
// initialization); S. Kim et al., "SqueezeLLM: Dense-and-Sparse Quantization", ICML 2024 (per
// channel, weighted by importance).

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>
#include <vector>

#include "formats/code_planes.h"
#include "formats/format_table.h"
#include "formats/kmeans_1d.h"
#include "formats/row_input.h"

namespace fewbit::formats {
namespace {

constexpr int kLloydRounds = 100;
// Above this the values are gathered in a histogram instead of sorted.
constexpr int64_t kSortedValues = 1 << 16;

struct CodebookDetail {
  int bits;
};

int bits_of_codes(const Format& format) {
  return static_cast<const CodebookDetail*>(format.row->detail)->bits;
}

// What shares one codebook: columns [begin, end) of rows [row, row + rows).
struct Block {
  int64_t row = 0;
  int64_t rows = 0;
  int64_t begin = 0;
  int64_t end = 0;
};

bool anything_counts(const EncodeInput& in, const Block& block) {
  for (int64_t r = block.row; r < block.row + block.rows; ++r) {
    const RowInput part = row_input(in, r).part(block.begin, block.end);
    for (const float w : part.importance) {
      if (w > 0) return true;
    }
  }
  return false;
}

WeightedPoints points_of(const EncodeInput& in, const Block& block, bool weighted) {
  const bool few = block.rows * (block.end - block.begin) <= kSortedValues;
  std::vector<float> values;
  std::vector<float> weights;
  std::optional<PointHistogram> histogram;
  if (!few) histogram.emplace();
  for (int64_t r = block.row; r < block.row + block.rows; ++r) {
    const RowInput part = row_input(in, r).part(block.begin, block.end);
    const std::span<const float> importance = weighted ? part.importance : std::span<const float>();
    if (few) {
      values.insert(values.end(), part.values.begin(), part.values.end());
      weights.insert(weights.end(), importance.begin(), importance.end());
    } else {
      histogram->add(part.values, importance);
    }
  }
  return few ? sorted_points(values, weights) : histogram->points();
}

// [2^b], ascending; unused ones repeat the largest.
std::vector<double> learn_levels(const EncodeInput& in, const EncodeOptions& options,
                                 const Block& block, int bits) {
  const bool weighted = options.search && anything_counts(in, block);
  const WeightedPoints points = points_of(in, block, weighted);
  const int count = 1 << bits;
  std::vector<double> levels;
  if (options.search || points.size() <= static_cast<size_t>(count)) {
    levels = optimal_levels(points, count);
  } else {
    const double low = points.values.front();
    const double step = (points.values.back() - low) / (count - 1);
    for (int k = 0; k < count; ++k) levels.push_back(low + k * step);
    levels = lloyd_levels(points, std::move(levels), kLloydRounds);
  }
  levels.resize(static_cast<size_t>(count), levels.back());
  return levels;
}

// The largest float not above the middle of two levels: a float x lies above one where it lies
// above the other.
float middle_of(float a, float b) {
  const double middle = (static_cast<double>(a) + b) / 2;
  const auto nearest = static_cast<float>(middle);
  return nearest > middle ? std::nextafter(nearest, -std::numeric_limits<float>::infinity())
                          : nearest;
}

// codes[i] = the level nearest to values[i], the lower one of two.
void nearest_levels(std::span<const float> values, std::span<const float> levels, uint8_t* codes) {
  std::fill_n(codes, values.size(), uint8_t{0});
  for (size_t k = 1; k < levels.size(); ++k) {
    if (levels[k] == levels[k - 1]) continue;  // one code for a repeated level, the first
    const float middle = middle_of(levels[k - 1], levels[k]);
    const auto code = static_cast<uint8_t>(k);
    for (size_t i = 0; i < values.size(); ++i) {
      codes[i] = values[i] > middle ? code : codes[i];
    }
  }
}

// Learns and stores the codebook `index`.
Status store_levels(const EncodeInput& in, const EncodeOptions& options, const Block& block,
                    int64_t index, PackedMatrix& out) {
  const Format& format = out.format;
  const std::vector<double> levels = learn_levels(in, options, block, bits_of_codes(format));
  for (size_t k = 0; k < levels.size(); ++k) {
    FEWBIT_TRY(check_holds(format, levels[k], block.row, block.begin));
    store_scale(format.scale, static_cast<float>(levels[k]), out.parts[1].raw(),
                index * std::ssize(levels) + static_cast<int64_t>(k));
  }
  return {};
}

void load_levels(const PackedMatrix& matrix, int64_t index, std::span<float> levels) {
  for (size_t k = 0; k < levels.size(); ++k) {
    levels[k] = load_scale(matrix.format.scale, matrix.parts[1].raw(),
                           index * std::ssize(levels) + static_cast<int64_t>(k));
  }
}

void codebook_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  const int bits = bits_of_codes(format);
  out.push_back({"codes", DType::kUint8, {rows, plane_bytes(cols, bits)}});
  out.push_back({"levels",
                 storage_of(format.scale),
                 {format.group_elems == Format::kPerTensor ? 1 : rows, groups_per_row(format, cols),
                  int64_t{1} << bits}});
}

// One codebook for the whole matrix comes first.
Status prepare_codebook(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out) {
  if (out.format.group_elems != Format::kPerTensor) return {};
  return store_levels(in, options, {0, in.rows, 0, in.cols}, 0, out);
}

Status encode_codebook(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                       int64_t row_end, PackedMatrix& out) {
  const Format& format = out.format;
  const bool one_for_all = format.group_elems == Format::kPerTensor;
  const int64_t groups = groups_per_row(format, in.cols);
  const int64_t size = format.group_elems > 0 ? format.group_elems : in.cols;
  const int bits = bits_of_codes(format);
  std::vector<float> levels(size_t{1} << bits);
  if (one_for_all) load_levels(out, 0, levels);
  std::vector<uint8_t> codes(static_cast<size_t>(in.cols));
  for (int64_t r = row_begin; r < row_end; ++r) {
    for (int64_t g = 0; g < groups; ++g) {
      const Block block{r, 1, g * size, std::min((g + 1) * size, in.cols)};
      if (!one_for_all) {
        FEWBIT_TRY(store_levels(in, options, block, r * groups + g, out));
        load_levels(out, r * groups + g, levels);
      }
      nearest_levels(row_input(in, r).part(block.begin, block.end).values, levels,
                     codes.data() + block.begin);
    }
    pack_planes(codes.data(), in.cols, bits,
                out.parts[0].data<uint8_t>() + r * out.parts[0].dim(1));
  }
  return {};
}

void decode_codebook(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const Format& format = matrix.format;
  const int bits = bits_of_codes(format);
  const int64_t groups = groups_per_row(format, matrix.cols);
  const int64_t size = format.group_elems > 0 ? format.group_elems : matrix.cols;
  std::vector<uint8_t> codes(static_cast<size_t>(matrix.cols));
  std::vector<float> levels(size_t{1} << bits);
  for (int64_t r = row_begin; r < row_end; ++r) {
    unpack_planes(matrix.parts[0].data<uint8_t>() + r * matrix.parts[0].dim(1), matrix.cols, bits,
                  codes.data());
    for (int64_t g = 0; g < groups; ++g) {
      const int64_t index = format.group_elems == Format::kPerTensor ? 0 : r * groups + g;
      load_levels(matrix, index, levels);
      for (int64_t c = g * size; c < std::min((g + 1) * size, matrix.cols); ++c) {
        *out++ = levels[codes[static_cast<size_t>(c)]];
      }
    }
  }
}

template <int Bits>
constexpr CodebookDetail kDetail = {Bits};

template <int Bits>
constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary) {
  FormatRow r;
  r.id = id;
  r.name = name;
  r.summary = summary;
  r.source = "S. Han et al., Deep Compression, 2016; S. Kim et al., SqueezeLLM, 2024";
  r.groups = true;
  r.channel = true;
  r.tensor = true;
  r.default_group = Format::kPerChannel;
  r.scales = kFloatScales;
  r.default_scale = ScaleType::kFloat16;
  r.parts = codebook_parts;
  r.prepare = prepare_codebook;
  r.needs_prepare = [](const Format& format) { return format.group_elems == Format::kPerTensor; };
  r.encode = encode_codebook;
  r.decode = decode_codebook;
  r.detail = &kDetail<Bits>;
  return r;
}

constexpr std::array<FormatRow, 3> kRows = {
    row<2>(60, "codebook2", "2-bit codes for 4 learned levels, the best by k-means"),
    row<3>(61, "codebook3", "3-bit codes for 8 learned levels, the best by k-means"),
    row<4>(62, "codebook4", "4-bit codes for 16 learned levels, the best by k-means"),
};

}  // namespace

std::span<const FormatRow> codebook_rows() {
  return kRows;
}

}  // namespace fewbit::formats
