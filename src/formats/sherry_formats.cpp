// sherry1.25: ternary weights of which every fourth is zero, 5 bits for 4 weights.
//
//   codes   [rows, ceil(quads / 8) * 5]   bytes: planes of 4 and 1 bits (code_planes.h), one code
//   of
//                                         5 bits per quad of 4 neighbours in a row, quads = cols /
//                                         4
//   scales  [rows, groups]                float16 (f32, bf16): alpha, above 0, or 0 for a group of
//                                         zeros
//
//   code    4    3    2    1 0     z: which of the four weights is 0
//           s    b    a    z z     s: the first of the other three is negative
//                                  a, b: the second, the third has not the sign of the first
//
//   w = 0 at z; elsewhere +-alpha
//
// A chunk of 32 quads is one default group: 16 bytes of nibbles, 4 bytes of signs. The nibble picks
// one of 16 patterns (a byte shuffle turns it into four weights, or picks one of 16 sums of four
// activations), s turns the whole pattern round. 1.25 bits per weight and 16 / 128 for alpha.
//
// The codes and alpha are those of least squared error: unweighted, z is the smallest of four
// magnitudes and alpha the mean of the others, which is also the paper's rule; with importances,
// the exact optimum of the sweep below. An element's error is at most max(|w|, ||w| - alpha|).
// A last quad of less than 4 weights is filled up with zeros that have no importance.
//
// Source: H. Huang et al., "Sherry: Hardware-Efficient 1.25-Bit Ternary Quantization via
// Fine-grained Sparsification", 2026, arXiv:2601.07892, section 3 (the 3:4 format and its packing
// into an index of 4 bits and a sign).

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <vector>

#include "formats/code_planes.h"
#include "formats/format_table.h"
#include "formats/row_input.h"
#include "formats/sherry.h"

namespace fewbit::formats {
namespace {

constexpr int64_t kQuad = kSherryQuad;
constexpr int kBits = 5;

int64_t quads_of(int64_t cols) {
  return (cols + kQuad - 1) / kQuad;
}

// kKept[z]: the positions of the other three, in order.
constexpr std::array<std::array<uint8_t, 3>, 4> kKept = {
    {{1, 2, 3}, {0, 2, 3}, {0, 1, 3}, {0, 1, 2}}};

// The 32 patterns, in units of alpha.
constexpr SherryPatterns kPatterns = [] {
  SherryPatterns patterns{};
  for (unsigned code = 0; code < 32; ++code) {
    const auto& kept = kKept[code & 3];
    const bool first = (code >> 4 & 1) != 0;
    const bool negative[3] = {first, first != ((code >> 2 & 1) != 0),
                              first != ((code >> 3 & 1) != 0)};
    for (unsigned k = 0; k < 3; ++k) {
      patterns[code][kept[k]] = negative[k] ? int8_t{-1} : int8_t{1};
    }
  }
  return patterns;
}();

// Four magnitudes and how much each counts.
struct Quad {
  std::array<double, 4> magnitude{};
  std::array<double, 4> weight{};
};

// Dropping element z instead of coding it as +-alpha adds weight * (2 magnitude - alpha) * alpha to
// the squared error: the zero is where that is least.
unsigned best_zero(const Quad& quad, double alpha) {
  unsigned best = 0;
  double least = 0;
  for (unsigned z = 0; z < 4; ++z) {
    const double cost = quad.weight[z] * (2 * quad.magnitude[z] - alpha);
    if (z == 0 || cost < least) {
      best = z;
      least = cost;
    }
  }
  return best;
}

// sum of weight * magnitude and of weight over what is kept: alpha = top / bottom is best for it,
// and lowers the squared error by top^2 / bottom.
struct Sums {
  double top = 0;
  double bottom = 0;

  void add(const Quad& quad, unsigned z, double sign) {
    top += sign * quad.weight[z] * quad.magnitude[z];
    bottom += sign * quad.weight[z];
  }
  double gain() const { return bottom > 0 ? top * top / bottom : 0; }
  double alpha() const { return bottom > 0 ? top / bottom : 0; }
};

Sums kept_sums(std::span<const Quad> quads, std::span<const unsigned> zeros) {
  Sums sums;
  for (size_t q = 0; q < quads.size(); ++q) {
    for (const uint8_t k : kKept[zeros[q]]) sums.add(quads[q], k, 1);
  }
  return sums;
}

// From `alpha` on, quad's zero goes to `to`.
struct Move {
  double alpha = 0;
  size_t quad = 0;
  unsigned to = 0;
};

// The cost of each z is a line in alpha with slope -weight: as alpha grows, the least of the four
// lines (their lower envelope) moves to heavier elements, at most three times.
void add_moves(const Quad& quad, size_t index, unsigned zero, std::vector<Move>& moves) {
  for (double alpha = 0;;) {
    Move next{0, index, zero};
    bool found = false;
    for (unsigned z = 0; z < 4; ++z) {
      const double slope = quad.weight[z] - quad.weight[zero];
      if (slope <= 0) continue;
      const double lead =
          quad.weight[z] * quad.magnitude[z] - quad.weight[zero] * quad.magnitude[zero];
      const double at = std::max(2 * lead / slope, alpha);
      const bool steeper = found && at == next.alpha && quad.weight[z] > quad.weight[next.to];
      if (found && !(at < next.alpha) && !steeper) continue;
      next.alpha = at;
      next.to = z;
      found = true;
    }
    if (!found || !std::isfinite(next.alpha)) return;
    moves.push_back(next);
    alpha = next.alpha;
    zero = next.to;
  }
}

// The alpha of least weighted squared error: between two moves the choice of zeros is constant and
// its best alpha known, so one pass over the moves in order sees every choice that can be best.
double best_alpha(std::span<const Quad> quads) {
  std::vector<Move> moves;
  std::vector<unsigned> zeros(quads.size());
  for (size_t q = 0; q < quads.size(); ++q) {
    zeros[q] = best_zero(quads[q], 0);
    add_moves(quads[q], q, zeros[q], moves);
  }
  std::sort(moves.begin(), moves.end(), [](const Move& a, const Move& b) {
    return a.alpha != b.alpha ? a.alpha < b.alpha : a.quad < b.quad;
  });
  Sums sums = kept_sums(quads, zeros);
  size_t best_count = 0;
  double best_gain = sums.gain();
  std::vector<unsigned> now = zeros;
  for (size_t m = 0; m < moves.size(); ++m) {
    const Move& move = moves[m];
    sums.add(quads[move.quad], now[move.quad], 1);
    sums.add(quads[move.quad], move.to, -1);
    now[move.quad] = move.to;
    if (sums.gain() > best_gain) {
      best_gain = sums.gain();
      best_count = m + 1;
    }
  }
  for (size_t m = 0; m < best_count; ++m) zeros[moves[m].quad] = moves[m].to;
  return kept_sums(quads, zeros).alpha();
}

// The paper's rule: the smallest magnitude is the zero, alpha the mean of the others.
double mean_alpha(std::span<const Quad> quads) {
  Sums sums;
  for (const Quad& quad : quads) {
    for (const uint8_t k : kKept[best_zero(quad, 0)]) sums.add(quad, k, 1);
  }
  return sums.alpha();
}

// `weighted`: with the row's importance; elements past the end weigh nothing.
std::vector<Quad> quads_of_group(const RowInput& group, bool weighted) {
  std::vector<Quad> quads(static_cast<size_t>(quads_of(static_cast<int64_t>(group.values.size()))));
  for (size_t i = 0; i < group.values.size(); ++i) {
    quads[i / kQuad].magnitude[i % kQuad] = std::fabs(group.values[i]);
    quads[i / kQuad].weight[i % kQuad] = weighted ? group.weight(i) : 1.0;
  }
  return quads;
}

uint8_t code_of(const RowInput& group, size_t quad, unsigned zero) {
  std::array<bool, 4> negative{};
  for (size_t i = quad * kQuad; i < std::min((quad + 1) * kQuad, group.values.size()); ++i) {
    negative[i % kQuad] = group.values[i] < 0;
  }
  const auto& kept = kKept[zero];
  const bool first = negative[kept[0]];
  return static_cast<uint8_t>(zero | (negative[kept[1]] != first ? 4U : 0U) |
                              (negative[kept[2]] != first ? 8U : 0U) | (first ? 16U : 0U));
}

// Alpha, not yet rounded, and codes of one group. Alpha is 0 where all that counts is 0.
double encode_group(const RowInput& group, bool search, ScaleType type, uint8_t* codes) {
  const bool weighted = search && std::any_of(group.importance.begin(), group.importance.end(),
                                              [](float w) { return w > 0; });
  const std::vector<Quad> quads = quads_of_group(group, weighted);
  const double alpha = weighted ? best_alpha(quads) : mean_alpha(quads);
  const bool stored = alpha != 0 && alpha <= largest_of(type);
  const double final_alpha = stored ? round_scale(type, static_cast<float>(alpha)) : alpha;
  for (size_t q = 0; q < quads.size(); ++q) {
    codes[q] = code_of(group, q, best_zero(quads[q], weighted ? final_alpha : 0));
  }
  return alpha;
}

void sherry_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  out.push_back({"codes", DType::kUint8, {rows, plane_bytes(quads_of(cols), kBits)}});
  out.push_back({"scales", storage_of(format.scale), {rows, groups_per_row(format, cols)}});
}

int64_t group_size(const Format& format, int64_t cols) {
  return format.group_elems > 0 ? format.group_elems : cols;
}

Status encode_sherry(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                     int64_t row_end, PackedMatrix& out) {
  const Format& format = out.format;
  const int64_t groups = groups_per_row(format, in.cols);
  const int64_t size = group_size(format, in.cols);
  const int64_t row_bytes = out.parts[0].dim(1);
  std::vector<uint8_t> codes(static_cast<size_t>(quads_of(in.cols)));
  for (int64_t r = row_begin; r < row_end; ++r) {
    const RowInput row = row_input(in, r);
    for (int64_t g = 0; g < groups; ++g) {
      const RowInput group = row.part(g * size, std::min((g + 1) * size, in.cols));
      const double alpha =
          encode_group(group, options.search, format.scale, codes.data() + g * size / kQuad);
      FEWBIT_TRY(check_holds(format, alpha, r, g * size));
      if (alpha == 0) continue;  // the part is zero already
      store_scale(format.scale, round_scale(format.scale, static_cast<float>(alpha)),
                  out.parts[1].raw(), r * groups + g);
    }
    pack_planes(codes.data(), quads_of(in.cols), kBits,
                out.parts[0].data<uint8_t>() + r * row_bytes);
  }
  return {};
}

void decode_sherry(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const int64_t size = group_size(matrix.format, matrix.cols);
  std::vector<uint8_t> codes(static_cast<size_t>(quads_of(matrix.cols)));
  std::vector<float> scales(static_cast<size_t>(groups_per_row(matrix.format, matrix.cols)));
  for (int64_t r = row_begin; r < row_end; ++r) {
    sherry_row(matrix, r, codes.data(), scales.data());
    for (int64_t c = 0; c < matrix.cols; ++c) {
      const float alpha = scales[static_cast<size_t>(c / size)];
      const int8_t unit =
          kPatterns[codes[static_cast<size_t>(c / kQuad)]][static_cast<size_t>(c % kQuad)];
      *out++ = unit == 0 ? 0.0F : unit > 0 ? alpha : -alpha;
    }
  }
}

constexpr std::array<FormatRow, 1> kRows = {[] {
  FormatRow r;
  r.id = 80;
  r.name = "sherry1.25";
  r.summary = "ternary, one weight of four is zero: 5 bits for 4 weights";
  r.source = "H. Huang et al., Sherry, 2026, arXiv:2601.07892";
  r.groups = true;
  r.channel = true;
  r.default_group = 128;
  r.scales = kFloatScales;
  r.default_scale = ScaleType::kFloat16;
  r.parts = sherry_parts;
  r.encode = encode_sherry;
  r.decode = decode_sherry;
  return r;
}()};

}  // namespace

std::span<const FormatRow> sherry_rows() {
  return kRows;
}

bool is_sherry(const Format& format) {
  return format.row == &kRows[0];
}

const SherryPatterns& sherry_patterns() {
  return kPatterns;
}

void sherry_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales) {
  const int64_t row_bytes = matrix.parts[0].dim(1);
  const int64_t groups = groups_per_row(matrix.format, matrix.cols);
  unpack_planes(matrix.parts[0].data<uint8_t>() + row * row_bytes, quads_of(matrix.cols), kBits,
                codes);
  for (int64_t g = 0; g < groups; ++g) {
    scales[g] = load_scale(matrix.format.scale, matrix.parts[1].raw(), row * groups + g);
  }
}

PackedMatrix sherry_as_ternary(const PackedMatrix& matrix) {
  Format format = default_format(*find_format("ternary"));
  format.group_elems = matrix.format.group_elems;
  format.scale = matrix.format.scale;
  PackedMatrix out = make_packed(format, matrix.rows, matrix.cols);
  std::memcpy(out.part("scales").raw(), matrix.parts[1].raw(),
              static_cast<size_t>(matrix.parts[1].bytes()));
  constexpr int kTernaryBits = 2;
  const int64_t row_bytes = plane_bytes(matrix.cols, kTernaryBits);
  std::vector<uint8_t> codes(static_cast<size_t>(quads_of(matrix.cols)));
  std::vector<float> scales(static_cast<size_t>(groups_per_row(matrix.format, matrix.cols)));
  std::vector<uint8_t> ternary(static_cast<size_t>(matrix.cols));
  for (int64_t r = 0; r < matrix.rows; ++r) {
    sherry_row(matrix, r, codes.data(), scales.data());
    for (size_t c = 0; c < ternary.size(); ++c) {
      ternary[c] = static_cast<uint8_t>(kPatterns[codes[c / kQuad]][c % kQuad] + 1);
    }
    pack_planes(ternary.data(), matrix.cols, kTernaryBits,
                out.part("codes").data<uint8_t>() + r * row_bytes);
  }
  return out;
}

}  // namespace fewbit::formats
