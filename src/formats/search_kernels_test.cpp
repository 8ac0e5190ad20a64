#include "formats/search_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "base/random.h"

namespace fewbit::formats {
namespace {

LevelTable some_table() {
  LevelTable table;
  table.count = 5;
  table.levels = {-3, -1, 0.5F, 2, 7};
  for (size_t k = 0; k < 4; ++k) table.middles[k] = (table.levels[k] + table.levels[k + 1]) / 2;
  return table;
}

TEST(SearchKernels, TryScalesIsTheSumOverTheNearestLevels) {
  const LevelTable table = some_table();
  std::vector<float> x(37);
  std::vector<float> w(37);
  Random(1).fill_normal(x, 0, 2);
  Random(2).fill_uniform(w, 0, 3);
  for (const SearchKernels& kernels : search_kernel_table()) {
    if (!kernels.runs_here) continue;
    ScaleTrials trials;
    for (size_t l = 0; l < 16; ++l) trials.inverse_scale[l] = 0.3F + 0.2F * static_cast<float>(l);
    kernels.try_scales(table, x.data(), w.data(), 37, trials);
    for (size_t l = 0; l < 16; ++l) {
      float dot = 0;
      float norm = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        const float t = x[i] * trials.inverse_scale[l];
        const float near =
            *std::min_element(table.levels.begin(), table.levels.begin() + 5,
                              [&](float a, float b) { return std::abs(a - t) < std::abs(b - t); });
        dot += near * w[i] * x[i];
        norm += near * w[i] * near;
      }
      EXPECT_EQ(trials.dot[l], dot) << kernels.name;  // in this order: not a bit of difference
      EXPECT_EQ(trials.norm[l], norm) << kernels.name;
    }
  }
}

// Scores in the order in which the kernels add, sorted; equal ones by id.
std::vector<std::pair<float, int32_t>> expected_scores(const EntryScan& scan, size_t lane) {
  std::vector<std::pair<float, int32_t>> scores;
  for (int64_t e = 0; e < scan.count; ++e) {
    const float* entry = scan.entries + e * (1 + scan.width);
    float score = scan.base[lane] + entry[0];
    for (int64_t j = 0; j < scan.width; ++j) {
      score += scan.vectors[j * kSearchLanes + static_cast<int64_t>(lane)] * entry[1 + j];
    }
    scores.emplace_back(score, scan.first_id + static_cast<int32_t>(e));
  }
  std::stable_sort(scores.begin(), scores.end());
  return scores;
}

TEST(SearchKernels, ScanKeepsTheBest) {
  for (const int64_t width : {2, 4, 8, 16}) {
    alignas(64) std::array<float, 16 * kSearchLanes> vectors;
    alignas(64) std::array<float, kSearchLanes> base;
    std::vector<float> entries(static_cast<size_t>(40 * (1 + width)));
    Random random(7);
    // Small integers: many equal scores.
    for (float& x : vectors) x = static_cast<float>(random.below(3));
    for (float& x : base) x = static_cast<float>(random.below(5));
    for (float& x : entries) x = static_cast<float>(random.below(4));
    const EntryScan scan{vectors.data(), base.data(), entries.data(), width, 40, 100};
    for (const SearchKernels& kernels : search_kernel_table()) {
      if (!kernels.runs_here) continue;
      for (const int64_t length : {int64_t{1}, kBeam}) {
        Beam beam;
        beam.clear();
        kernels.scan(scan, length, beam);
        for (size_t lane = 0; lane < kSearchLanes; ++lane) {
          const auto expected = expected_scores(scan, lane);
          for (size_t k = 0; k < static_cast<size_t>(length); ++k) {
            EXPECT_EQ(beam.score[k][lane], expected[k].first) << kernels.name << width;
            const int32_t id = beam.id[k][lane];
            EXPECT_NE(
                std::find(expected.begin(), expected.end(), std::pair(beam.score[k][lane], id)),
                expected.end());
            if (k == 0) {
              EXPECT_EQ(id, expected[0].second) << kernels.name << width;
            } else {
              EXPECT_NE(id, beam.id[k - 1][lane]);
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace fewbit::formats
