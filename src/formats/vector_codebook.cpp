#include "formats/vector_codebook.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/random.h"

namespace fewbit::formats {
namespace {

// Rounds of Lloyd's algorithm: for each book as it is added, and for all books together.
constexpr int kBookRounds = 24;
constexpr int kJointRounds = 12;
// Or until at most one code of so many changes.
constexpr int64_t kSettled = 1 << 10;
// k-means++ draws from at most so many vectors.
constexpr int64_t kSeedVectors = 1 << 14;
constexpr int kSeedTrials = 3;

constexpr size_t kTileFloats = kMaxVectorDim * kSearchLanes;

// Partial sums of entries, one per lane, and the codes that lead there.
struct Path {
  alignas(64) std::array<float, kSearchLanes> score{};
  alignas(64) std::array<float, kTileFloats> rest{};  // what is left of the vectors
  std::array<std::array<uint8_t, kMaxBooks>, kSearchLanes> codes{};
};

// The kernel's vectors: the rest, or weight * rest followed by weight.
void fill_scan(const Path& path, const float* weights, int64_t dim, std::span<float> out) {
  const auto n = static_cast<size_t>(dim * kSearchLanes);
  for (size_t i = 0; i < n; ++i) {
    out[i] = weights == nullptr ? path.rest[i] : weights[i] * path.rest[i];
  }
  if (weights != nullptr) std::copy_n(weights, n, out.begin() + static_cast<int64_t>(n));
}

// k-means++ on a part of the sample.
class Seeding {
 public:
  Seeding(int64_t dim, const VectorTiles& from) : dim_(dim) {
    const int64_t step = std::max<int64_t>(from.tiles * kSearchLanes / kSeedVectors, 1);
    for (int64_t v = 0; v < from.tiles * kSearchLanes; v += step) {
      for (int64_t d = 0; d < dim; ++d) {
        const auto at =
            static_cast<size_t>((v / kSearchLanes * dim + d) * kSearchLanes + v % kSearchLanes);
        values_.push_back(from.values[at]);
        weights_.push_back(from.weights[at]);
      }
    }
    const std::vector<float> zero(static_cast<size_t>(dim));
    nearest_.assign(values_.size() / static_cast<size_t>(dim),
                    std::numeric_limits<float>::infinity());
    errors_ = lowered(zero.data());
  }

  // Writes the next seed; false if no vector is left that is not one already.
  bool next(Random& random, float* seed) {
    double total = 0;
    for (const float error : errors_) total += error;
    if (!(total > 0)) return false;
    double least = std::numeric_limits<double>::infinity();
    std::vector<float> best;
    for (int trial = 0; trial < kSeedTrials; ++trial) {
      const float* candidate = values_.data() + draw(random.uniform() * total) * dim_;
      std::vector<float> errors = lowered(candidate);
      double sum = 0;
      for (const float error : errors) sum += error;
      if (!(sum < least)) continue;
      least = sum;
      best = std::move(errors);
      std::copy_n(candidate, dim_, seed);
    }
    nearest_ = std::move(best);
    errors_ = nearest_;
    return true;
  }

 private:
  int64_t draw(double left) const {
    int64_t chosen = 0;
    for (size_t i = 0; i < errors_.size(); ++i) {
      if (!(errors_[i] > 0)) continue;
      chosen = static_cast<int64_t>(i);
      left -= errors_[i];
      if (left < 0) break;
    }
    return chosen;
  }

  // The weighted squared distances to the seeds so far and this one.
  std::vector<float> lowered(const float* seed) const {
    std::vector<float> errors = nearest_;
    for (size_t i = 0; i < errors.size(); ++i) {
      float sum = 0;
      for (size_t d = 0; d < static_cast<size_t>(dim_); ++d) {
        const size_t at = i * static_cast<size_t>(dim_) + d;
        const float rest = values_[at] - seed[d];
        sum += weights_[at] * rest * rest;
      }
      errors[i] = std::min(errors[i], sum);
    }
    return errors;
  }

  int64_t dim_;
  std::vector<float> values_;  // [vectors][dim]
  std::vector<float> weights_;
  std::vector<float> nearest_;  // [vectors]: weighted squared distance to the nearest seed
  std::vector<float> errors_;   // [vectors]: the same, but before the first seed to zero
};

// Learns from one sample; keeps what is left of it by the books before.
class Trainer {
 public:
  Trainer(const VectorShape& shape, const VectorTiles& sample, const VectorTraining& training)
      : shape_(shape),
        sample_(sample),
        training_(training),
        books_(static_cast<size_t>(shape.values())) {}

  std::vector<float> run() {
    VectorTiles rest = sample_;
    const VectorShape single = {shape_.dim, 1, shape_.bits};
    for (int64_t m = 0; m < shape_.books; ++m) {
      seed_book(rest, m);
      for (int round = 0; round < kBookRounds; ++round) {
        if (!assign(single, book(m), rest)) break;
        refit(rest, 1, 0, book(m));
      }
      if (m + 1 < shape_.books) {
        assign(single, book(m), rest);
        subtract(m, rest);
      }
    }
    for (int round = 0; shape_.books > 1 && round < kJointRounds; ++round) {
      if (!assign(shape_, books_, sample_)) break;
      for (int64_t m = 0; m < shape_.books; ++m) {
        refit(without(m), shape_.books, m, book(m));
      }
    }
    return std::move(books_);
  }

 private:
  std::span<float> book(int64_t m) {
    const auto size = static_cast<size_t>(shape_.entries() * shape_.dim);
    return std::span(books_).subspan(static_cast<size_t>(m) * size, size);
  }

  // Greedy k-means++: each seed is the best of kSeedTrials vectors, drawn with a probability in
  // proportion to their error so far.
  void seed_book(const VectorTiles& from, int64_t m) {
    Random random(training_.seed + static_cast<uint64_t>(m));
    const std::span<float> seeds = book(m);
    std::fill(seeds.begin(), seeds.end(), 0.0F);
    Seeding state(shape_.dim, from);
    for (int64_t e = 0; e < shape_.entries(); ++e) {
      if (!state.next(random, seeds.data() + e * shape_.dim)) return;
    }
  }

  template <typename Vector>
  auto element(Vector& values, int64_t vector, int64_t d) const -> decltype(values.data()) {
    const int64_t tile = vector / kSearchLanes;
    return values.data() + (tile * shape_.dim + d) * kSearchLanes + vector % kSearchLanes;
  }

  // Sets codes_ [vectors][shape.books]; false if they have settled.
  bool assign(const VectorShape& shape, std::span<const float> books, const VectorTiles& from) {
    const VectorSearch search(shape, books);
    std::vector<uint8_t> codes(static_cast<size_t>(from.tiles * kSearchLanes * shape.books));
#pragma omp parallel for schedule(static) if (from.tiles >= kTilesWorthThreads)
    for (int64_t t = 0; t < from.tiles; ++t) {
      search.codes_of(from.tile_values(t), training_.weighted ? from.tile_weights(t) : nullptr,
                      training_.beam, codes.data() + t * kSearchLanes * shape.books);
    }
    std::swap(codes, codes_);
    if (codes.size() != codes_.size()) return true;
    int64_t changed = 0;
    for (size_t i = 0; i < codes.size(); ++i) changed += codes[i] != codes_[i] ? 1 : 0;
    return changed * kSettled > std::ssize(codes);
  }

  uint8_t code(int64_t vector, int64_t books, int64_t m) const {
    return codes_[static_cast<size_t>(vector * books + m)];
  }

  // Every entry becomes the weighted mean of the vectors that have its code; without any it stays.
  void refit(const VectorTiles& from, int64_t books, int64_t m, std::span<float> entries) const {
    std::vector<double> top(entries.size());
    std::vector<double> bottom(entries.size());
    for (int64_t v = 0; v < from.tiles * kSearchLanes; ++v) {
      const auto at = static_cast<size_t>(code(v, books, m) * shape_.dim);
      for (int64_t d = 0; d < shape_.dim; ++d) {
        const double w = *element(from.weights, v, d);
        top[at + static_cast<size_t>(d)] += w * *element(from.values, v, d);
        bottom[at + static_cast<size_t>(d)] += w;
      }
    }
    for (size_t i = 0; i < entries.size(); ++i) {
      if (bottom[i] > 0) entries[i] = static_cast<float>(top[i] / bottom[i]);
    }
  }

  // rest -= the entries of book m that codes_ (of one book) names.
  void subtract(int64_t m, VectorTiles& rest) {
    const std::span<const float> entries = book(m);
    for (int64_t v = 0; v < rest.tiles * kSearchLanes; ++v) {
      for (int64_t d = 0; d < shape_.dim; ++d) {
        *element(rest.values, v, d) -= entries[static_cast<size_t>(code(v, 1, 0) * shape_.dim + d)];
      }
    }
  }

  // The sample without what all books but m make of it.
  VectorTiles without(int64_t m) const {
    VectorTiles rest = sample_;
    const auto size = shape_.entries() * shape_.dim;
    for (int64_t v = 0; v < rest.tiles * kSearchLanes; ++v) {
      for (int64_t other = 0; other < shape_.books; ++other) {
        if (other == m) continue;
        const float* entry =
            books_.data() + other * size + code(v, shape_.books, other) * shape_.dim;
        for (int64_t d = 0; d < shape_.dim; ++d) *element(rest.values, v, d) -= entry[d];
      }
    }
    return rest;
  }

  VectorShape shape_;
  const VectorTiles& sample_;
  VectorTraining training_;
  std::vector<float> books_;
  std::vector<uint8_t> codes_;  // [vectors][books]
};

}  // namespace

VectorTiles::VectorTiles(int64_t vector_dim, int64_t vectors)
    : dim(vector_dim),
      tiles((vectors + kSearchLanes - 1) / kSearchLanes),
      values(static_cast<size_t>(tiles * dim * kSearchLanes)),
      weights(values.size()) {}

VectorSearch::VectorSearch(const VectorShape& shape, std::span<const float> values)
    : shape_(shape), values_(values.begin(), values.end()) {
  const int64_t dim = shape.dim;
  for (int64_t e = 0; e < shape.books * shape.entries(); ++e) {
    const float* entry = values_.data() + e * dim;
    float square = 0;
    for (int64_t d = 0; d < dim; ++d) square += entry[d] * entry[d];
    plain_.push_back(square);
    weighted_.push_back(0);
    for (int64_t d = 0; d < dim; ++d) {
      plain_.push_back(-2 * entry[d]);
      weighted_.push_back(-2 * entry[d]);
    }
    for (int64_t d = 0; d < dim; ++d) weighted_.push_back(entry[d] * entry[d]);
  }
}

void VectorSearch::codes_of(const float* values, const float* weights, bool beam,
                            uint8_t* codes) const {
  const int64_t dim = shape_.dim;
  const int64_t entries = shape_.entries();
  const int64_t width = weights == nullptr ? dim : 2 * dim;
  const std::vector<float>& tables = weights == nullptr ? plain_ : weighted_;
  std::array<Path, kBeam> paths;
  std::array<Path, kBeam> longer;
  std::copy_n(values, dim * kSearchLanes, paths[0].rest.begin());
  int64_t count = 1;
  alignas(64) std::array<float, 2 * kTileFloats> scan_values;
  Beam best;
  for (int64_t m = 0; m < shape_.books; ++m) {
    const int64_t length = beam && m + 1 < shape_.books ? kBeam : 1;
    best.clear();
    for (int64_t k = 0; k < count; ++k) {
      const Path& path = paths[static_cast<size_t>(k)];
      fill_scan(path, weights, dim, scan_values);
      search_kernels().scan(
          {scan_values.data(), path.score.data(), tables.data() + m * entries * (1 + width), width,
           entries, static_cast<int32_t>(k * entries)},
          length, best);
    }
    for (size_t k = 0; k < static_cast<size_t>(length); ++k) {
      Path& next = longer[k];
      next.score = best.score[k];
      for (size_t l = 0; l < kSearchLanes; ++l) {
        const auto id = static_cast<int64_t>(best.id[k][l]);
        const Path& from = paths[static_cast<size_t>(id / entries)];
        next.codes[l] = from.codes[l];
        next.codes[l][static_cast<size_t>(m)] = static_cast<uint8_t>(id % entries);
        const float* entry = values_.data() + (m * entries + id % entries) * dim;
        for (int64_t d = 0; d < dim; ++d) {
          const size_t at = static_cast<size_t>(d * kSearchLanes) + l;
          next.rest[at] = from.rest[at] - entry[d];
        }
      }
    }
    std::swap(paths, longer);
    count = length;
  }
  for (size_t l = 0; l < kSearchLanes; ++l) {
    std::copy_n(paths[0].codes[l].begin(), shape_.books,
                codes + static_cast<int64_t>(l) * shape_.books);
  }
}

std::vector<float> learn_books(const VectorShape& shape, const VectorTiles& sample,
                               const VectorTraining& training) {
  return Trainer(shape, sample, training).run();
}

}  // namespace fewbit::formats
