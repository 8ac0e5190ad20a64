#include "formats/vector_codebook.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "formats/weight_sources.h"

namespace fewbit::formats {
namespace {

VectorTiles tiles_of(int64_t dim, const std::vector<float>& values,
                     const std::vector<float>& weights) {
  VectorTiles tiles(dim, std::ssize(values) / dim);
  for (int64_t i = 0; i < std::ssize(values); ++i) {
    const int64_t v = i / dim;
    const auto at =
        static_cast<size_t>((v / kSearchLanes * dim + i % dim) * kSearchLanes + v % kSearchLanes);
    tiles.values[at] = values[static_cast<size_t>(i)];
    tiles.weights[at] = weights.empty() ? 1.0F : weights[static_cast<size_t>(i)];
  }
  return tiles;
}

// sum w (x - entries named)^2 of vector `v`.
double error_at(const VectorShape& shape, const std::vector<float>& books, const VectorTiles& tiles,
                int64_t v, std::span<const uint8_t> codes) {
  double error = 0;
  for (int64_t d = 0; d < shape.dim; ++d) {
    const auto at =
        static_cast<size_t>((v / kSearchLanes * shape.dim + d) * kSearchLanes + v % kSearchLanes);
    double rest = tiles.values[at];
    for (int64_t m = 0; m < shape.books; ++m) {
      rest -= books[static_cast<size_t>(
          (m * shape.entries() + codes[static_cast<size_t>(m)]) * shape.dim + d)];
    }
    error += tiles.weights[at] * rest * rest;
  }
  return error;
}

double search_error(const VectorShape& shape, const std::vector<float>& books,
                    const VectorTiles& tiles, bool weighted, bool beam) {
  const VectorSearch search(shape, books);
  double error = 0;
  std::array<uint8_t, kSearchLanes * kMaxBooks> codes{};
  for (int64_t t = 0; t < tiles.tiles; ++t) {
    search.codes_of(tiles.tile_values(t), weighted ? tiles.tile_weights(t) : nullptr, beam,
                    codes.data());
    for (int64_t l = 0; l < kSearchLanes; ++l) {
      error += error_at(shape, books, tiles, t * kSearchLanes + l,
                        std::span(codes).subspan(static_cast<size_t>(l * shape.books)));
    }
  }
  return error;
}

// The least error over all combinations of codes of one or two books.
double least_error(const VectorShape& shape, const std::vector<float>& books,
                   const VectorTiles& tiles) {
  double total = 0;
  const int64_t choices = shape.books == 1 ? shape.entries() : shape.entries() * shape.entries();
  for (int64_t v = 0; v < tiles.tiles * kSearchLanes; ++v) {
    double least = std::numeric_limits<double>::infinity();
    for (int64_t c = 0; c < choices; ++c) {
      const std::array<uint8_t, 2> codes = {static_cast<uint8_t>(c % shape.entries()),
                                            static_cast<uint8_t>(c / shape.entries())};
      least = std::min(least, error_at(shape, books, tiles, v, codes));
    }
    total += least;
  }
  return total;
}

TEST(VectorCodebook, OneBookIsSearchedExactly) {
  for (const int64_t dim : {2, 4, 8}) {
    const VectorShape shape = {dim, 1, 6};
    const auto books = normal_values(shape.values(), 1);
    std::vector<float> weights(static_cast<size_t>(160 * dim));
    Random(3).fill_uniform(weights, 0, 2);
    const VectorTiles alike = tiles_of(dim, student_values(160 * dim, 2), {});
    const double least = least_error(shape, books, alike);
    EXPECT_NEAR(search_error(shape, books, alike, false, true), least, 1e-6 * least);
    const VectorTiles weighted = tiles_of(dim, student_values(160 * dim, 2), weights);
    const double least_weighted = least_error(shape, books, weighted);
    EXPECT_NEAR(search_error(shape, books, weighted, true, false), least_weighted,
                1e-6 * least_weighted);
  }
}

TEST(VectorCodebook, TheBeamComesNearTheBestOfAllSums) {
  const VectorShape shape = {4, 2, 6};
  const VectorTiles sample = tiles_of(4, normal_values(4 * 4096, 4), {});
  const std::vector<float> books = learn_books(shape, sample, {});
  const VectorTiles fresh = tiles_of(4, normal_values(4 * 320, 5), {});
  const double least = least_error(shape, books, fresh);
  const double beam = search_error(shape, books, fresh, false, true);
  EXPECT_GE(beam, least * (1 - 1e-6));
  EXPECT_LE(beam, least * 1.02);
  EXPECT_GT(search_error(shape, books, fresh, false, false), beam);  // greedy
}

TEST(VectorCodebook, FindsSeparateClustersAndTheirWeightedMeans) {
  const VectorShape shape = {2, 1, 2};
  std::vector<float> values;
  std::vector<float> weights;
  const std::array<std::array<float, 2>, 4> centres = {{{-9, 5}, {0, 0}, {4, 9}, {8, -7}}};
  for (size_t i = 0; i < 200; ++i) {
    const float side = i / 4 % 2 == 0 ? 1.0F : -1.0F;
    const float weight = side > 0 ? 3.0F : 1.0F;  // mean: half a unit towards the heavy side
    for (const float c : centres[i % 4]) {
      values.push_back(c + side);
      weights.push_back(weight);
    }
  }
  std::vector<float> books = learn_books(shape, tiles_of(2, values, weights), {.weighted = true});
  std::vector<std::array<float, 2>> found;
  for (size_t e = 0; e < 4; ++e) found.push_back({books[2 * e], books[2 * e + 1]});
  std::sort(found.begin(), found.end());
  for (size_t e = 0; e < 4; ++e) {
    EXPECT_NEAR(found[e][0], centres[e][0] + 0.5F, 0.05F);
    EXPECT_NEAR(found[e][1], centres[e][1] + 0.5F, 0.05F);
  }
}

TEST(VectorCodebook, TwoBooksLearnASum) {
  // Every vector is one of 4 coarse plus one of 4 fine ones: two books of 4 entries hold all 16.
  const VectorShape shape = {2, 2, 2};
  std::vector<float> values;
  for (size_t i = 0; i < 320; ++i) {
    const size_t coarse = i % 4;
    const size_t fine = i / 4 % 4;
    values.push_back(10 * static_cast<float>(coarse % 2) + static_cast<float>(fine % 2));
    values.push_back((coarse > 1 ? 10.0F : 0.0F) + (fine > 1 ? 1.0F : 0.0F));
  }
  const VectorTiles sample = tiles_of(2, values, {});
  const std::vector<float> books = learn_books(shape, sample, {});
  EXPECT_LT(search_error(shape, books, sample, false, true), 1e-6);
}

}  // namespace
}  // namespace fewbit::formats
