#include "formats/level_kernels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "formats/leveled.h"

namespace fewbit::formats {
namespace {

std::vector<std::pair<std::string, LevelGrid>> grids() {
  std::vector<std::pair<std::string, LevelGrid>> list;
  for (const FormatRow* row : format_table()) {
    const Leveled* leveled = leveled_of(default_format(*row));
    if (leveled != nullptr) list.emplace_back(row->name, leveled->grid);
  }
  return list;
}

// Values of every kind for a scale of 1: the levels, the points half way between them and the
// floats next to those, and random ones.
std::vector<Lanes> interesting_values(const LevelGrid& grid, int zero) {
  std::vector<float> values = {0.0F, -0.0F, 1e-30F, -1e-30F, 1e9F, -1e9F};
  const std::array<float, 256> levels = level_values(grid);
  for (int c = 0; c < 1 << grid.bits; ++c) {
    const float level =
        levels[static_cast<size_t>(c)] - static_cast<float>(grid.zero_point ? zero : 0);
    if (!std::isfinite(level)) continue;  // a code of fp8 that no weight gets
    const Snapped next = snap_level(grid, std::nextafter(level, 1e9F) * 1.0001F + 1e-6F, zero);
    for (const float x : {level, (level + next.level) * 0.5F}) {
      values.insert(values.end(), {x, std::nextafter(x, 1e9F), std::nextafter(x, -1e9F)});
    }
  }
  Random random(5);
  for (int i = 0; i < 500; ++i) {
    values.push_back(static_cast<float>(random.normal()) * grid.highest() * 0.5F);
  }
  std::vector<Lanes> rows(values.size() / kLanes + 1);
  for (size_t i = 0; i < values.size(); ++i) rows[i / kLanes][i % kLanes] = values[i];
  return rows;
}

std::vector<uint8_t> codes_by(const LevelKernels& kernels, const LevelGrid& grid,
                              const BlockTile& tile, const Lanes& scale, const Lanes& zero) {
  std::vector<uint8_t> codes(static_cast<size_t>(tile.n * kLanes));
  kernels.codes(grid, tile, scale, zero, kLanes, tile.n, codes.data());
  return codes;
}

TEST(LevelKernels, SnapAsThePlainStatementDoes) {
  for (const auto& [name, grid] : grids()) {
    for (const int zero : grid.zero_point ? std::vector<int>{0, 1, (1 << grid.bits) - 1}
                                          : std::vector<int>{grid.symmetric_zero()}) {
      const std::vector<Lanes> values = interesting_values(grid, zero);
      const BlockTile tile{values.front().v.data(), static_cast<int64_t>(values.size()), nullptr,
                           false};
      Lanes scale, zeros;
      scale.v.fill(1 / grid.unit);
      zeros.v.fill(static_cast<float>(zero));
      for (const LevelKernels& kernels : level_kernel_table()) {
        if (!kernels.runs_here) continue;
        const std::vector<uint8_t> codes = codes_by(kernels, grid, tile, scale, zeros);
        for (size_t j = 0; j < values.size(); ++j) {
          for (size_t l = 0; l < kLanes; ++l) {
            const Snapped wanted = snap_level(grid, values[j][l], zero);
            const uint8_t found = codes[l * values.size() + j];
            // +0 and -0 are one level.
            const bool zeros_meet = wanted.level == 0 && level_values(grid)[found] == 0;
            ASSERT_TRUE(found == wanted.code || zeros_meet)
                << name << " " << kernels.name << " zero " << zero << " x " << values[j][l] << ": "
                << int{found} << " for " << int{wanted.code};
          }
        }
      }
    }
  }
}

TEST(LevelKernels, GiveTheSameBitsOnEveryInstructionSet) {
  Random random(7);
  constexpr int64_t kElems = 83;
  std::vector<Lanes> x(kElems), w(kElems);
  for (Lanes& row : x) random.fill_normal(row.v, 0, 1);
  for (Lanes& row : w) random.fill_uniform(row.v, 0, 2);
  const LevelKernels& plain = level_kernel_table().front();
  for (const auto& [name, grid] : grids()) {
    Lanes scale, zero;
    random.fill_uniform(scale.v, 0.05F, 0.5F);
    zero.v.fill(static_cast<float>(grid.symmetric_zero()));
    for (int weighting = 0; weighting < 3; ++weighting) {
      BlockTile tile{x.front().v.data(), kElems, weighting == 0 ? nullptr : w.front().v.data(),
                     weighting == 2};
      LaneErrors wanted;
      plain.evaluate(grid, tile, scale, zero, true, wanted);
      Lanes low, high;
      plain.extremes(tile, low, high);
      for (const LevelKernels& kernels : level_kernel_table()) {
        if (!kernels.runs_here) continue;
        LaneErrors found;
        kernels.evaluate(grid, tile, scale, zero, true, found);
        EXPECT_EQ(found.error.v, wanted.error.v) << name << " " << kernels.name;
        EXPECT_EQ(found.gradient.v, wanted.gradient.v) << name << " " << kernels.name;
        EXPECT_EQ(found.curvature.v, wanted.curvature.v) << name << " " << kernels.name;
        LaneErrors alone;
        kernels.evaluate(grid, tile, scale, zero, false, alone);
        EXPECT_EQ(alone.error.v, wanted.error.v) << name << " " << kernels.name;
        EXPECT_EQ(codes_by(kernels, grid, tile, scale, zero),
                  codes_by(plain, grid, tile, scale, zero));
        Lanes least, most;
        kernels.extremes(tile, least, most);
        EXPECT_EQ(least.v, low.v);
        EXPECT_EQ(most.v, high.v);
      }
    }
  }
}

TEST(LevelKernels, TilesAreTransposed) {
  constexpr int64_t kElems = 37, kStride = 41;
  std::vector<float> rows(kLanes * kStride);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<float>(i);
  for (const LevelKernels& kernels : level_kernel_table()) {
    if (!kernels.runs_here) continue;
    for (const int count : {1, 7, kLanes}) {
      std::vector<Lanes> tile(kElems);
      kernels.load_tile(rows.data(), kStride, count, kElems, tile.front().v.data());
      for (size_t j = 0; j < kElems; ++j) {
        for (size_t l = 0; l < kLanes; ++l) {
          ASSERT_EQ(tile[j][l], l < static_cast<size_t>(count) ? rows[l * kStride + j] : 0);
        }
      }
    }
  }
}

TEST(LevelKernels, FiniteIsFinite) {
  for (const LevelKernels& kernels : level_kernel_table()) {
    if (!kernels.runs_here) continue;
    std::vector<float> values(53, std::numeric_limits<float>::max());
    EXPECT_TRUE(kernels.all_finite(values.data(), 53));
    for (const float bad :
         {std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity(),
          std::numeric_limits<float>::quiet_NaN()}) {
      for (size_t at : {size_t{0}, size_t{20}, size_t{52}}) {
        std::vector<float> with = values;
        with[at] = bad;
        EXPECT_FALSE(kernels.all_finite(with.data(), 53));
      }
    }
  }
}

}  // namespace
}  // namespace fewbit::formats
