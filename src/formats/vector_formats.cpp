// vqD_MxB: vectors of D neighbouring weights, each the sum of one entry from each of M codebooks of
// 2^B entries, learned from the matrix. B M / D bits per weight, and:
//
//   codes   [rows, books, ceil(vectors / 8) * B]   bytes: for each book a row of code planes
//                                                  (code_planes.h; 8 bits: a byte per code), one
//                                                  code per vector, vectors = ceil(cols / D)
//   books   [books, 2^B, D]                        int8
//   scales  [rows, groups]                         float16 (f32, bf16), above 0; 0: all zeros
//
//   w[D v + d] = scale * sum over books m of books[m, codes[m, v], d]
//
//           bits   bytes of all books
//   vq2_1x6   3       128                   The books stay in the first-level cache. An entry of
//   vq2_1x8   4       512                   vq4 is 32 bits, one of vq8 64, so that a gather loads
//   vq4_1x8   2      1024                   whole entries; sums are exact integers, at most 381.
//   vq4_2x8   4      2048
//   vq8_1x8   1      2048                   With a scale per row, 16 / cols bits more; the books
//   vq8_2x8   2      4096                   cost their bytes once per matrix.
//   vq8_3x8   3      6144
//
// Weights are divided by the root mean square of their row (group), a sample of at most 2^17
// vectors is drawn by a fixed seed, and the books are learned from it (vector_codebook.h), counting
// each square by importance; then rounded to int8, 127 standing for the largest magnitude or for
// what clips the rarest entries where that makes less error. Every vector then gets its nearest
// entry (one book: exactly; several: by a beam of 8), the scale its least-squares value, and the
// codes once more. There is no bound on one element's error: a vector far from all entries is as
// far off. A last vector of less than D weights is filled up with zeros that have no importance.
// Without EncodeOptions::search: no importance, no beam, the scale as it was when the books were
// learned.
//
// Sources: Y. Linde, A. Buzo, R. Gray, "An Algorithm for Vector Quantizer Design", IEEE Trans.
// Comm. 1980; V. Egiazarian et al., "Extreme Compression of Large Language Models via Additive
// Quantization" (AQLM), ICML 2024, whose "MxB, group D" the names follow.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "formats/code_planes.h"
#include "formats/format_table.h"
#include "formats/row_input.h"
#include "formats/vector_codebook.h"
#include "formats/vector_codes.h"

namespace fewbit::formats {
namespace {

constexpr int64_t kSampleVectors = 1 << 17;
constexpr uint64_t kSeed = 1;
// What 127 stands for, as a share of the largest magnitude in the books.
constexpr std::array<float, 4> kClips = {1.0F, 0.8F, 0.6F, 0.45F};
// With fewer vectors per entry than this, books are also learned without the beam.
constexpr int64_t kFewPerEntry = 4;
// The clips are compared on so many tiles.
constexpr int64_t kClipTiles = 1 << 10;

enum Part : size_t { kCodes, kBooks, kScales };

const VectorShape& shape_of(const Format& format) {
  return *static_cast<const VectorShape*>(format.row->detail);
}

int64_t vectors_of(const Format& format, int64_t cols) {
  return (cols + shape_of(format).dim - 1) / shape_of(format).dim;
}

bool anything_counts(const EncodeInput& in, const EncodeOptions& options) {
  return options.search &&
         std::any_of(in.importance.begin(), in.importance.end(), [](float w) { return w > 0; });
}

// One row, cut into groups that have a scale each.
struct RowGroups {
  RowInput row;
  int64_t size = 0;             // of a group
  std::vector<double> weights;  // [cols]; of a group without any importance, 1
  std::vector<double> rms;      // [groups], of what counts
  std::vector<double> counts;   // [groups]: largest weight; 0 for a group without importance

  RowGroups(const Format& format, const EncodeInput& in, int64_t r, bool weighted)
      : row(row_input(in, r)),
        size(format.group_elems > 0 ? format.group_elems : in.cols),
        weights(static_cast<size_t>(in.cols), 1.0) {
    for (int64_t begin = 0; begin < in.cols; begin += size) {
      const auto from = static_cast<size_t>(begin);
      const auto to = static_cast<size_t>(std::min(begin + size, in.cols));
      double largest = weighted ? 0 : 1;
      for (size_t i = from; i < to && weighted; ++i) largest = std::max(largest, row.weight(i));
      double sum = 0;
      double squares = 0;
      for (size_t i = from; i < to; ++i) {
        if (weighted && largest > 0) weights[i] = row.weight(i) / largest;
        sum += weights[i];
        squares += weights[i] * row.values[i] * row.values[i];
      }
      rms.push_back(std::sqrt(squares / sum));
      counts.push_back(largest);
    }
  }

  size_t group_of(size_t column) const { return column / static_cast<size_t>(size); }
};

// --- the books ---

struct SampledVector {
  int64_t row;
  int64_t vector;
};

// All vectors, or one from each of kSampleVectors equal parts, in order.
std::vector<SampledVector> sample_places(int64_t rows, int64_t vectors) {
  const int64_t all = rows * vectors;
  const int64_t count = std::min(all, kSampleVectors);
  std::vector<SampledVector> places;
  Random random(kSeed);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t begin = all / count * i + all % count * i / count;
    const int64_t end = all / count * (i + 1) + all % count * (i + 1) / count;
    const int64_t at =
        begin + static_cast<int64_t>(random.below(static_cast<uint64_t>(end - begin)));
    places.push_back({at / vectors, at % vectors});
  }
  return places;
}

// Vectors in units of their group's root mean square; what they count goes with its square, so that
// the errors that are summed are those of the weights themselves.
VectorTiles draw_sample(const Format& format, const EncodeInput& in, bool weighted) {
  const int64_t dim = shape_of(format).dim;
  const auto places = sample_places(in.rows, vectors_of(format, in.cols));
  VectorTiles tiles(dim, std::ssize(places));
  std::vector<double> masses(tiles.weights.size());
  double heaviest = 0;
  for (size_t i = 0; i < places.size();) {
    const RowGroups groups(format, in, places[i].row, weighted);
    for (const int64_t row = places[i].row; i < places.size() && places[i].row == row; ++i) {
      const auto lane = static_cast<int64_t>(i) % kSearchLanes;
      const auto tile = static_cast<int64_t>(i) / kSearchLanes;
      for (int64_t d = 0; d < dim; ++d) {
        const auto column = static_cast<size_t>(places[i].vector * dim + d);
        if (column >= groups.weights.size()) continue;
        const size_t g = groups.group_of(column);
        const double rms = groups.rms[g];
        const double mass = groups.weights[column] * groups.counts[g] * rms * rms;
        if (!(mass > 0)) continue;
        const auto at = static_cast<size_t>((tile * dim + d) * kSearchLanes + lane);
        tiles.values[at] = static_cast<float>(groups.row.values[column] / rms);
        masses[at] = mass;
        heaviest = std::max(heaviest, mass);
      }
    }
  }
  for (size_t i = 0; i < masses.size() && heaviest > 0; ++i) {
    tiles.weights[i] = static_cast<float>(masses[i] / heaviest);
  }
  return tiles;
}

// The weighted squared error that integer books make on the first tiles of the sample.
double error_of(const VectorShape& shape, std::span<const float> books, const VectorTiles& sample,
                const VectorTraining& training) {
  const VectorSearch search(shape, books);
  const int64_t tiles = std::min(sample.tiles, kClipTiles);
  std::vector<double> errors(static_cast<size_t>(tiles));
#pragma omp parallel for schedule(static) if (tiles >= kTilesWorthThreads)
  for (int64_t t = 0; t < tiles; ++t) {
    std::array<uint8_t, kSearchLanes * kMaxBooks> codes{};
    const float* weights = sample.tile_weights(t);
    search.codes_of(sample.tile_values(t), training.weighted ? weights : nullptr, training.beam,
                    codes.data());
    for (int64_t i = 0; i < shape.dim * kSearchLanes; ++i) {
      double rest = sample.tile_values(t)[i];
      for (int64_t m = 0; m < shape.books; ++m) {
        const int64_t code = codes[static_cast<size_t>(i % kSearchLanes * shape.books + m)];
        rest -=
            books[static_cast<size_t>((m * shape.entries() + code) * shape.dim + i / kSearchLanes)];
      }
      errors[static_cast<size_t>(t)] += weights[i] * rest * rest;
    }
  }
  double sum = 0;
  for (const double error : errors) sum += error;
  return sum;
}

// The books in int8, and what 1 stands for, in units of the root mean square.
struct IntegerBooks {
  std::vector<int8_t> values;
  double step = 0;
};

IntegerBooks round_books(std::span<const float> books, float largest) {
  IntegerBooks rounded;
  rounded.step = largest / 127.0;
  for (const float x : books) {
    const double level = std::clamp(std::nearbyint(x / rounded.step), -127.0, 127.0);
    rounded.values.push_back(static_cast<int8_t>(level));
  }
  return rounded;
}

// The best so far, and its error on the sample.
struct LearnedBooks {
  IntegerBooks books;
  double error = std::numeric_limits<double>::infinity();
};

void keep_better(const VectorShape& shape, std::span<const float> books, const VectorTiles& sample,
                 const VectorTraining& training, LearnedBooks& best) {
  float largest = 0;
  for (const float x : books) largest = std::max(largest, std::fabs(x));
  if (largest == 0) largest = 1;  // a matrix of zeros
  for (const float clip : kClips) {
    IntegerBooks rounded = round_books(books, clip * largest);
    std::vector<float> values;
    for (const int8_t x : rounded.values) values.push_back(static_cast<float>(x * rounded.step));
    const double error = error_of(shape, values, sample, training);
    if (error < best.error) best = {std::move(rounded), error};
  }
}

IntegerBooks learn(const VectorShape& shape, const VectorTiles& sample,
                   const VectorTraining& training) {
  LearnedBooks best;
  keep_better(shape, learn_books(shape, sample, training), sample, training, best);
  const bool few = sample.tiles * kSearchLanes < kFewPerEntry * shape.books * shape.entries();
  if (training.beam && shape.books > 1 && few) {
    // The beam settles early where nearly every vector can have entries of its own.
    VectorTraining greedy = training;
    greedy.beam = false;
    keep_better(shape, learn_books(shape, sample, greedy), sample, training, best);
  }
  return std::move(best.books);
}

// Learns the books, and writes them and the first scales.
Status prepare_vectors(const EncodeInput& in, const EncodeOptions& options, PackedMatrix& out) {
  const Format& format = out.format;
  const bool weighted = anything_counts(in, options);
  const bool ragged = in.cols % shape_of(format).dim != 0;
  const VectorTiles sample = draw_sample(format, in, weighted);
  const IntegerBooks books =
      learn(shape_of(format), sample, {weighted || ragged, options.search, kSeed});
  std::copy(books.values.begin(), books.values.end(), out.parts[kBooks].data<int8_t>());
  const int64_t groups = groups_per_row(format, in.cols);
  for (int64_t r = 0; r < in.rows; ++r) {
    const RowGroups row(format, in, r, weighted);
    for (int64_t g = 0; g < groups; ++g) {
      const double scale = row.rms[static_cast<size_t>(g)] * books.step;
      FEWBIT_TRY(check_holds(format, scale, r, g * row.size));
      if (scale == 0) continue;
      store_scale(format.scale, round_scale(format.scale, static_cast<float>(scale)),
                  out.parts[kScales].raw(), r * groups + g);
    }
  }
  return {};
}

// --- the codes ---

// What codes make of one row: by group, sum w x q, sum w q^2 and the squared error at their scale,
// with q the sum of entries.
struct RowFit {
  std::vector<uint8_t> codes;  // [vectors][books]
  std::vector<float> scales;   // [groups]
  std::vector<double> dot;
  std::vector<double> norm;
  std::vector<double> error;
};

class RowEncoder {
 public:
  RowEncoder(const PackedMatrix& matrix, bool weighted, bool search)
      : shape_(shape_of(matrix.format)),
        weighted_(weighted),
        search_(search),
        books_(matrix.parts[kBooks].span<int8_t>().begin(),
               matrix.parts[kBooks].span<int8_t>().end()),
        vector_search_(shape_, books_) {}

  // The codes nearest to the row at these scales. With search the scales are refitted to the codes
  // and the codes found anew; a group keeps that if it makes less error.
  RowFit encode(const RowGroups& row, std::vector<float> scales, ScaleType type) const {
    RowFit fit = codes_at(row, std::move(scales));
    if (!search_) return fit;
    std::vector<float> refitted = fit.scales;
    for (size_t g = 0; g < refitted.size(); ++g) {
      const double best = fit.norm[g] > 0 ? fit.dot[g] / fit.norm[g] : 0;
      if (best > 0 && best <= largest_of(type)) {
        refitted[g] = round_scale(type, static_cast<float>(best));
      }
    }
    const RowFit again = codes_at(row, std::move(refitted));
    for (size_t g = 0; g < fit.scales.size(); ++g) {
      if (again.error[g] < fit.error[g]) take_group(row, g, again, fit);
    }
    return fit;
  }

 private:
  void take_group(const RowGroups& row, size_t g, const RowFit& from, RowFit& to) const {
    to.scales[g] = from.scales[g];
    const int64_t size = row.size * shape_.books / shape_.dim;
    const auto begin = static_cast<int64_t>(g) * size;
    const bool last = g + 1 == to.scales.size();
    const int64_t end = last ? std::ssize(to.codes) : begin + size;
    std::copy(from.codes.begin() + begin, from.codes.begin() + end, to.codes.begin() + begin);
  }

  RowFit codes_at(const RowGroups& row, std::vector<float> scales) const {
    const auto cols = std::ssize(row.row.values);
    const int64_t vectors = (cols + shape_.dim - 1) / shape_.dim;
    VectorTiles tile(shape_.dim, kSearchLanes);
    std::array<uint8_t, kSearchLanes * kMaxBooks> codes{};
    RowFit fit;
    fit.codes.resize(static_cast<size_t>(vectors * shape_.books));
    for (int64_t first = 0; first < vectors; first += kSearchLanes) {
      const bool whole = (first + kSearchLanes) * shape_.dim <= cols;
      fill_tile(row, scales, first, tile);
      vector_search_.codes_of(tile.values.data(),
                              weighted_ || !whole ? tile.weights.data() : nullptr, search_,
                              codes.data());
      std::copy_n(codes.begin(), std::min(kSearchLanes, vectors - first) * shape_.books,
                  fit.codes.begin() + first * shape_.books);
    }
    fit.scales = std::move(scales);
    measure(row, fit);
    return fit;
  }

  // Vectors from `first` on, in units of the integer entries.
  void fill_tile(const RowGroups& row, std::span<const float> scales, int64_t first,
                 VectorTiles& tile) const {
    for (int64_t l = 0; l < kSearchLanes; ++l) {
      for (int64_t d = 0; d < shape_.dim; ++d) {
        const auto column = static_cast<size_t>((first + l) * shape_.dim + d);
        const auto at = static_cast<size_t>(d * kSearchLanes + l);
        const double weight = column < row.weights.size() ? row.weights[column] : 0;
        const float scale = weight > 0 ? scales[row.group_of(column)] : 0;
        tile.weights[at] = static_cast<float>(weight);
        tile.values[at] =
            scale > 0 ? static_cast<float>(static_cast<double>(row.row.values[column]) / scale) : 0;
      }
    }
  }

  void measure(const RowGroups& row, RowFit& fit) const {
    for (std::vector<double>* sums : {&fit.dot, &fit.norm, &fit.error}) {
      sums->assign(fit.scales.size(), 0);
    }
    for (size_t c = 0; c < row.weights.size(); ++c) {
      const auto v = c / static_cast<size_t>(shape_.dim);
      const size_t d = c % static_cast<size_t>(shape_.dim);
      double q = 0;
      for (int64_t m = 0; m < shape_.books; ++m) {
        const int64_t code =
            fit.codes[v * static_cast<size_t>(shape_.books) + static_cast<size_t>(m)];
        q += books_[static_cast<size_t>((m * shape_.entries() + code) * shape_.dim) + d];
      }
      const size_t g = row.group_of(c);
      const double x = row.row.values[c];
      const double rest = x - fit.scales[g] * q;
      fit.dot[g] += row.weights[c] * x * q;
      fit.norm[g] += row.weights[c] * q * q;
      fit.error[g] += row.weights[c] * rest * rest;
    }
  }

  VectorShape shape_;
  bool weighted_;
  bool search_;
  std::vector<float> books_;
  VectorSearch vector_search_;
};

Status encode_vectors(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                      int64_t row_end, PackedMatrix& out) {
  const Format& format = out.format;
  const VectorShape& shape = shape_of(format);
  const int64_t groups = groups_per_row(format, in.cols);
  const int64_t vectors = vectors_of(format, in.cols);
  const int64_t row_bytes = plane_bytes(vectors, shape.bits);
  const bool weighted = anything_counts(in, options);
  const RowEncoder encoder(out, weighted, options.search);
  void* stored = out.parts[kScales].raw();
  std::vector<uint8_t> book_codes(static_cast<size_t>(vectors));
  for (int64_t r = row_begin; r < row_end; ++r) {
    std::vector<float> scales;
    for (int64_t g = 0; g < groups; ++g) {
      scales.push_back(load_scale(format.scale, stored, r * groups + g));
    }
    const RowGroups row(format, in, r, weighted);
    const RowFit fit = encoder.encode(row, std::move(scales), format.scale);
    for (int64_t g = 0; g < groups; ++g) {
      store_scale(format.scale, fit.scales[static_cast<size_t>(g)], stored, r * groups + g);
    }
    for (int64_t m = 0; m < shape.books; ++m) {
      for (int64_t v = 0; v < vectors; ++v) {
        book_codes[static_cast<size_t>(v)] = fit.codes[static_cast<size_t>(v * shape.books + m)];
      }
      pack_planes(book_codes.data(), vectors, shape.bits,
                  out.parts[kCodes].data<uint8_t>() + (r * shape.books + m) * row_bytes);
    }
  }
  return {};
}

void decode_vectors(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const VectorShape& shape = shape_of(matrix.format);
  const int64_t cols = matrix.cols;
  const int64_t size = matrix.format.group_elems > 0 ? matrix.format.group_elems : cols;
  const int64_t vectors = vectors_of(matrix.format, cols);
  const int8_t* books = vector_books(matrix);
  std::vector<uint8_t> codes(static_cast<size_t>(shape.books * vectors));
  std::vector<float> scales(static_cast<size_t>(groups_per_row(matrix.format, cols)));
  std::vector<int> sums(static_cast<size_t>(vectors * shape.dim));
  for (int64_t r = row_begin; r < row_end; ++r) {
    vector_row(matrix, r, codes.data(), scales.data());
    std::fill(sums.begin(), sums.end(), 0);
    for (int64_t m = 0; m < shape.books; ++m) {
      const uint8_t* of_book = codes.data() + m * vectors;
      for (size_t i = 0; i < sums.size(); ++i) {
        const auto dim = static_cast<size_t>(shape.dim);
        sums[i] += books[(m * shape.entries() + of_book[i / dim]) * shape.dim +
                         static_cast<int64_t>(i % dim)];
      }
    }
    for (int64_t c = 0; c < cols; ++c) {
      *out++ =
          scales[static_cast<size_t>(c / size)] * static_cast<float>(sums[static_cast<size_t>(c)]);
    }
  }
}

void vector_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  const VectorShape& shape = shape_of(format);
  out.push_back({"codes",
                 DType::kUint8,
                 {rows, shape.books, plane_bytes(vectors_of(format, cols), shape.bits)}});
  out.push_back({"books", DType::kInt8, {shape.books, shape.entries(), shape.dim}});
  out.push_back({"scales", storage_of(format.scale), {rows, groups_per_row(format, cols)}});
}

template <int64_t Dim, int64_t Books, int Bits>
constexpr VectorShape kShape = {Dim, Books, Bits};

constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        const VectorShape& shape) {
  FormatRow r;
  r.id = id;
  r.name = name;
  r.summary = summary;
  r.source = "Y. Linde et al., 1980; V. Egiazarian et al., AQLM, 2024";
  r.groups = true;
  r.channel = true;
  r.default_group = Format::kPerChannel;
  r.scales = kFloatScales;
  r.default_scale = ScaleType::kFloat16;
  r.parts = vector_parts;
  r.prepare = prepare_vectors;
  r.encode = encode_vectors;
  r.decode = decode_vectors;
  r.detail = &shape;
  return r;
}

constexpr std::array<FormatRow, 7> kRows = {
    row(70, "vq2_1x6", "pairs of weights, 64 learned entries: 3 bits", kShape<2, 1, 6>),
    row(71, "vq2_1x8", "pairs of weights, 256 learned entries: 4 bits", kShape<2, 1, 8>),
    row(72, "vq4_1x8", "vectors of 4, 256 learned entries: 2 bits", kShape<4, 1, 8>),
    row(73, "vq4_2x8", "vectors of 4, sums from two books of 256: 4 bits", kShape<4, 2, 8>),
    row(74, "vq8_1x8", "vectors of 8, 256 learned entries: 1 bit", kShape<8, 1, 8>),
    row(75, "vq8_2x8", "vectors of 8, sums from two books of 256: 2 bits", kShape<8, 2, 8>),
    row(76, "vq8_3x8", "vectors of 8, sums from three books of 256: 3 bits", kShape<8, 3, 8>),
};

}  // namespace

std::span<const FormatRow> vector_rows() {
  return kRows;
}

}  // namespace fewbit::formats

namespace fewbit {

std::optional<VectorForm> vector_form(const Format& format, int64_t cols) {
  if (format.row->decode != formats::decode_vectors) return std::nullopt;
  const formats::VectorShape& shape = formats::shape_of(format);
  return VectorForm{shape.dim, shape.books, shape.bits,
                    format.group_elems > 0 ? format.group_elems : cols};
}

const int8_t* vector_books(const PackedMatrix& matrix) {
  return matrix.parts[formats::kBooks].data<int8_t>();
}

void vector_row(const PackedMatrix& matrix, int64_t row, uint8_t* codes, float* scales) {
  const formats::VectorShape& shape = formats::shape_of(matrix.format);
  const int64_t vectors = formats::vectors_of(matrix.format, matrix.cols);
  const int64_t row_bytes = plane_bytes(vectors, shape.bits);
  const uint8_t* stored = matrix.parts[formats::kCodes].data<uint8_t>();
  for (int64_t m = 0; m < shape.books; ++m) {
    unpack_planes(stored + (row * shape.books + m) * row_bytes, vectors, shape.bits,
                  codes + m * vectors);
  }
  const int64_t groups = groups_per_row(matrix.format, matrix.cols);
  for (int64_t g = 0; g < groups; ++g) {
    scales[g] =
        load_scale(matrix.format.scale, matrix.parts[formats::kScales].raw(), row * groups + g);
  }
}

}  // namespace fewbit
