#pragma once
// The scale search: for 16 blocks at a time, the scale (and zero-point) of least weighted squared
// error
//
//   E(s, z) = sum_j w_j (x_j - s (q_j - z))^2,   q_j the code nearest to x_j / s + z.
//
// E is a parabola in s as long as no code changes, and jumps from parabola to parabola. So: try
// scales over the range in which the optimum lies (LevelGrid::search_*), in both directions of the
// grid where scales may be negative; take each parabola's minimum, s + g / c with the gradient g
// and curvature c that the evaluation gives; follow the best with two rounds of snapping anew and
// refitting. Cost: about 20 evaluations (60 with a zero-point). Deterministic.
// The same idea, with other candidates, is in llama.cpp's k-quants; the refit is Lloyd's algorithm
// with the levels tied to one scale (S. Lloyd, Least Squares Quantization in PCM, 1982).

#include "formats/format.h"
#include "formats/level_grid.h"
#include "formats/level_kernels.h"

namespace fewbit::formats {

struct TileFit {
  Lanes scale;  ///< as stored: rounded to the scale type
  Lanes zero;   ///< integer grids: code of zero
  Lanes error;  ///< E there
  Lanes ideal;  ///< the scale that the largest magnitude asks for, unrounded
};

/// How one tile is to be fitted.
struct FitTask {
  const LevelGrid* grid = nullptr;
  ScaleType scale = ScaleType::kFloat32;
  bool search = true;     ///< false: the largest magnitude alone decides
  bool positive = false;  ///< scales of a float type must not be negative
  bool joined = false;    ///< the 16 lanes are parts of one block: one scale for all
};

/// Scales of a float type, or e8m0 (for which all near powers of two are tried; without search
/// the one of the OCP specification, 2^(floor(log2 max|x|) - exponent of the largest level)).
TileFit fit_tile(const FitTask& task, const BlockTile& tile);

/// The better of the given scales, lane by lane, each as it is stored. candidates: at least one.
TileFit pick_scale(const FitTask& task, const BlockTile& tile, std::span<const Lanes> candidates);

/// E, and with `moments` its derivatives, at given scales.
LaneErrors evaluate_tile(const FitTask& task, const BlockTile& tile, const Lanes& scale,
                         const Lanes& zero, bool moments);

/// The scale, never negative, that maps the block's extremes within the grid: 0 for zero blocks.
Lanes covering_scale(const FitTask& task, const BlockTile& tile);

}  // namespace fewbit::formats
