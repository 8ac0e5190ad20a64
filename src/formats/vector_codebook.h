#pragma once
// Vector quantization: a vector of `dim` weights is the sum of one entry from each of `books`
// codebooks. One book is learned by k-means (Linde, Buzo, Gray 1980) from k-means++ seeds (Arthur,
// Vassilvitskii 2007). Several are additive, as in AQLM (V. Egiazarian et al., "Extreme Compression
// of Large Language Models via Additive Quantization", 2024): each starts on what the books before
// it leave over; then the codes are searched anew with a beam (A. Babenko, V. Lempitsky, "Additive
// Quantization for Extreme Vector Compression", 2014) and the books fitted to the codes by least
// squares, in turns.

#include <cstdint>
#include <span>
#include <vector>

#include "formats/search_kernels.h"

namespace fewbit::formats {

struct VectorShape {
  int64_t dim = 0;    ///< 2, 4 or 8
  int64_t books = 0;  ///< 1 to 3
  int bits = 0;       ///< of a code

  int64_t entries() const { return int64_t{1} << bits; }
  int64_t values() const { return books * entries() * dim; }
};

inline constexpr int64_t kMaxVectorDim = 8;
inline constexpr int64_t kMaxBooks = 3;

/// With fewer tiles a loop over them is not worth waking threads for.
inline constexpr int64_t kTilesWorthThreads = 512;

/// Vectors in tiles of 16, as the kernels want them: element d of vector 16 t + l is
/// x[(t * dim + d) * 16 + l]. The last tile is filled up with vectors of weight 0.
struct VectorTiles {
  int64_t dim = 0;
  int64_t tiles = 0;
  std::vector<float> values;
  std::vector<float> weights;  ///< how much each squared error counts

  VectorTiles(int64_t vector_dim, int64_t vectors);
  float* tile_values(int64_t tile) { return values.data() + tile * dim * kSearchLanes; }
  const float* tile_values(int64_t tile) const { return values.data() + tile * dim * kSearchLanes; }
  float* tile_weights(int64_t tile) { return weights.data() + tile * dim * kSearchLanes; }
  const float* tile_weights(int64_t tile) const {
    return weights.data() + tile * dim * kSearchLanes;
  }
};

/// Finds codes in given books.
class VectorSearch {
 public:
  /// values: [books][entries][dim].
  VectorSearch(const VectorShape& shape, std::span<const float> values);

  /// Codes [16][books] of one tile. `weights` null: all elements count alike. One book: the nearest
  /// entry. Several: with `beam` the kBeam best sums of the books so far are kept from book to
  /// book, without it only the best. The result is the same on every processor.
  void codes_of(const float* values, const float* weights, bool beam, uint8_t* codes) const;

 private:
  VectorShape shape_;
  std::vector<float> values_;
  std::vector<float> plain_;     // EntryScan::entries of each book: |c|^2, then -2 c
  std::vector<float> weighted_;  // 0, then -2 c, then c^2
};

/// How books are learned.
struct VectorTraining {
  bool weighted = false;  ///< weights differ within vectors; otherwise only between vectors
  bool beam = true;
  uint64_t seed = 1;
};

/// Books of small sum weight * (value - entry)^2: [books][entries][dim]. The same for any number of
/// threads.
std::vector<float> learn_books(const VectorShape& shape, const VectorTiles& sample,
                               const VectorTraining& training);

}  // namespace fewbit::formats
