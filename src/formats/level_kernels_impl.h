// Included by one file per instruction set, inside its own anonymous namespace and under its own
// #pragma GCC target; never elsewhere. No sum crosses lanes and no product is contracted with a
// sum, so all give the same bits.

#include "formats/lanes_impl.h"

inline F load(const Lanes& lanes) {
  return load(lanes.v.data());
}
inline void store(Lanes& lanes, F x) {
  store(lanes.v.data(), x);
}
inline F min(F a, F b) {
  return a < b ? a : b;
}
inline F max(F a, F b) {
  return a > b ? a : b;
}
inline I bits(F x) {
  return __builtin_bit_cast(I, x);
}
inline F as_float(I x) {
  return __builtin_bit_cast(F, x);
}

// 1.5 * 2^23: adding it to a number below 2^22 and taking it away again rounds to an integer, ties
// to even.
constexpr float kRounder = 12582912.0F;

struct IntegerSnap {
  F low, high, zero;
  IntegerSnap(const LevelGrid& grid, const Lanes& zeros) {
    zero = load(zeros);
    const float top = static_cast<float>((1 << grid.bits) - 1);
    low = grid.zero_point ? -zero : splat(static_cast<float>(grid.first));
    high = top - zero;
  }
  F level(F x) const { return (min(max(x, low), high) + kRounder) - kRounder; }
  I code(F x) const { return __builtin_convertvector(level(x) + zero, I); }
};

// The power of two below |x| gives the distance of neighbouring levels there; adding 1.5 * 2^23
// times that distance rounds to it.
struct FloatSnap {
  float max_level, smallest_normal, rounder;
  int mantissa_bits, bias, total_bits;
  FloatSnap(const LevelGrid& grid, const Lanes&)
      : max_level(grid.max),
        smallest_normal(std::bit_cast<float>((128 - grid.bias) << 23)),
        rounder(kRounder / static_cast<float>(1 << grid.mantissa_bits)),
        mantissa_bits(grid.mantissa_bits),
        bias(grid.bias),
        total_bits(grid.bits) {}
  F magnitude(F x) const {
    const F a = min(as_float(bits(x) & 0x7fffffff), splat(max_level));
    const F power = max(as_float(bits(a) & 0x7f800000), splat(smallest_normal));
    const F shift = power * rounder;
    return (a + shift) - shift;
  }
  F level(F x) const { return as_float(bits(magnitude(x)) | (bits(x) & INT32_MIN)); }
  I code(F x) const {
    const F a = magnitude(x);
    const I normal = (bits(a) >> (23 - mantissa_bits)) - ((127 - bias) << mantissa_bits);
    // 2^(bias - 1 + mantissa_bits) levels to 1 below the smallest normal number.
    const float steps = static_cast<float>(1 << mantissa_bits) / smallest_normal;
    const I subnormal = __builtin_convertvector(a * steps, I);
    const I unsigned_code = a < splat(smallest_normal) ? subnormal : normal;
    return unsigned_code | (bits(x) < 0 ? I{} + (1 << (total_bits - 1)) : I{});
  }
};

// table[lane of i]; indices from 0 to 15.
template <typename V>
inline V permuted(V table, I i) {
#if defined(__clang__)
  V out;
  for (int l = 0; l < kLanes; ++l) out[l] = table[i[l]];
  return out;
#else
  return __builtin_shuffle(table, i);
#endif
}

// 9 to 16 levels are found by bisection where registers can be permuted (kPermutes), others by
// comparing with one threshold after the other.
struct TableSnap {
  int count;
  std::array<float, LevelGrid::kMaxLevels> levels, thresholds;
  std::array<int32_t, LevelGrid::kMaxLevels> codes_of;
  TableSnap(const LevelGrid& grid, const Lanes&) : count(grid.count), levels(grid.levels) {
    thresholds.fill(std::numeric_limits<float>::infinity());
    for (size_t i = 0; i < LevelGrid::kMaxLevels; ++i) codes_of[i] = grid.codes[i];
    for (size_t i = 1; i < static_cast<size_t>(count); ++i) {
      thresholds[i - 1] = (levels[i - 1] + levels[i]) * 0.5F;
    }
  }
  bool bisects() const { return kPermutes && count > 8 && count <= kLanes; }
  I index(F x) const {
    const F all = load(thresholds.data());
    I i{};
    for (const int step : {8, 4, 2, 1}) {
      i += x > permuted(all, i + (step - 1)) ? I{} + step : I{};
    }
    return i;
  }
  F level(F x) const {
    if (bisects()) return permuted(load(levels.data()), index(x));
    F y = splat(levels[0]);
    for (size_t i = 1; i < static_cast<size_t>(count); ++i) {
      y = x > splat(thresholds[i - 1]) ? splat(levels[i]) : y;
    }
    return y;
  }
  I code(F x) const {
    if (bisects()) return permuted(load(codes_of.data()), index(x));
    I c = I{} + codes_of[0];
    for (size_t i = 1; i < static_cast<size_t>(count); ++i) {
      c = x > splat(thresholds[i - 1]) ? I{} + codes_of[i] : c;
    }
    return c;
  }
};

template <typename Visit>
void with_snap(const LevelGrid& grid, const Lanes& zero, const Visit& visit) {
  switch (grid.kind) {
    case LevelGrid::Kind::kInteger:
      visit(IntegerSnap(grid, zero));
      return;
    case LevelGrid::Kind::kFloat:
      visit(FloatSnap(grid, zero));
      return;
    case LevelGrid::Kind::kTable:
      visit(TableSnap(grid, zero));
      return;
  }
}

enum class Weighting { kNone, kShared, kPerLane };

template <Weighting W, bool Moments, typename Snap>
void evaluate_as(const Snap& snap, const BlockTile& tile, F scale, LaneErrors& out) {
  const F inverse = 1.0F / scale;
  F error{};
  F gradient{};
  F curvature{};
  for (int64_t j = 0; j < tile.n; ++j) {
    const F x = load(tile.x + j * kLanes);
    const F q = snap.level(x * inverse);
    const F rest = x - scale * q;
    if constexpr (W == Weighting::kNone) {
      error += rest * rest;
      if constexpr (Moments) {
        gradient += q * rest;
        curvature += q * q;
      }
    } else {
      const F w = W == Weighting::kShared ? splat(tile.weight[j]) : load(tile.weight + j * kLanes);
      const F wr = w * rest;
      error += wr * rest;
      if constexpr (Moments) {
        gradient += wr * q;
        curvature += w * q * q;
      }
    }
  }
  store(out.error, error);
  if constexpr (Moments) {
    store(out.gradient, gradient);
    store(out.curvature, curvature);
  }
}

void evaluate(const LevelGrid& grid, const BlockTile& tile, const Lanes& scale, const Lanes& zero,
              bool moments, LaneErrors& out) {
  with_snap(grid, zero, [&](const auto& snap) {
    const F s = load(scale) * grid.unit;
    if (tile.weight == nullptr) {
      moments ? evaluate_as<Weighting::kNone, true>(snap, tile, s, out)
              : evaluate_as<Weighting::kNone, false>(snap, tile, s, out);
    } else if (tile.weight_per_lane) {
      moments ? evaluate_as<Weighting::kPerLane, true>(snap, tile, s, out)
              : evaluate_as<Weighting::kPerLane, false>(snap, tile, s, out);
    } else {
      moments ? evaluate_as<Weighting::kShared, true>(snap, tile, s, out)
              : evaluate_as<Weighting::kShared, false>(snap, tile, s, out);
    }
  });
}

struct Square {
  F row[kLanes];
};

// Of each pair of rows `Step` apart: the elements whose number has the bit Step change places.
template <int Step, int... Lane>
inline void exchange(Square& m, std::integer_sequence<int, Lane...>) {
  for (int i = 0; i < kLanes; ++i) {
    if ((i & Step) != 0) continue;
    const F a = m.row[i];
    const F b = m.row[i + Step];
    m.row[i] = __builtin_shufflevector(a, b, ((Lane & Step) == 0 ? Lane : Lane - Step + kLanes)...);
    m.row[i + Step] =
        __builtin_shufflevector(a, b, ((Lane & Step) == 0 ? Lane + Step : Lane + kLanes)...);
  }
}

// 16 x 16 elements at a time, in four rounds.
inline void transpose(Square& m) {
  constexpr auto kAll = std::make_integer_sequence<int, kLanes>();
  exchange<8>(m, kAll);
  exchange<4>(m, kAll);
  exchange<2>(m, kAll);
  exchange<1>(m, kAll);
}

void load_tile(const float* rows, int64_t stride, int row_count, int64_t n, float* tile) {
  int64_t j = 0;
  for (; j + kLanes <= n; j += kLanes) {
    Square m{};
    for (int l = 0; l < row_count; ++l) m.row[l] = load(rows + l * stride + j);
    transpose(m);
    std::memcpy(tile + j * kLanes, &m, sizeof(m));
  }
  for (; j < n; ++j) {
    for (int l = 0; l < kLanes; ++l) {
      tile[j * kLanes + l] = l < row_count ? rows[l * stride + j] : 0;
    }
  }
}

// An exponent of all ones is what carries into the sign bit.
bool all_finite(const float* values, int64_t count) {
  using U = uint32_t __attribute__((vector_size(64)));
  U carried{};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    carried |= (__builtin_bit_cast(U, load(values + i)) & 0x7f800000U) + 0x00800000U;
  }
  uint32_t any = 0;
  for (int l = 0; l < kLanes; ++l) any |= carried[l];
  for (; i < count; ++i) any |= (std::bit_cast<uint32_t>(values[i]) & 0x7f800000U) + 0x00800000U;
  return (any & 0x80000000U) == 0;
}

void extremes(const BlockTile& tile, Lanes& low, Lanes& high) {
  F least = load(tile.x);
  F most = least;
  for (int64_t j = 1; j < tile.n; ++j) {
    const F x = load(tile.x + j * kLanes);
    least = min(least, x);
    most = max(most, x);
  }
  store(low, least);
  store(high, most);
}

// Lower and upper halves of a and b, element by element.
inline I interleave_low(I a, I b) {
  return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
inline I interleave_high(I a, I b) {
  return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15,
                                 31);
}

// Codes of 16 elements in 16 lanes -> 16 bytes for each lane: four elements of a lane share one
// int32, and four such go side by side.
template <typename Snap>
inline void store_codes(const Snap& snap, const float* x, F inverse, int lane_count, int64_t stride,
                        uint8_t* out) {
  constexpr int kFour = 4;
  I quads[kFour];
  for (int k = 0; k < kFour; ++k) {
    I quad{};
    for (int b = 0; b < kFour; ++b) {
      quad |= snap.code(load(x + (k * kFour + b) * kLanes) * inverse) << (8 * b);
    }
    quads[k] = quad;
  }
  const I even_low = interleave_low(quads[0], quads[2]);
  const I even_high = interleave_high(quads[0], quads[2]);
  const I odd_low = interleave_low(quads[1], quads[3]);
  const I odd_high = interleave_high(quads[1], quads[3]);
  const I lanes[kFour] = {interleave_low(even_low, odd_low), interleave_high(even_low, odd_low),
                          interleave_low(even_high, odd_high),
                          interleave_high(even_high, odd_high)};
  uint8_t bytes[kLanes * kLanes];
  std::memcpy(bytes, lanes, sizeof(bytes));
  for (int l = 0; l < lane_count; ++l) std::memcpy(out + l * stride, bytes + l * kLanes, kLanes);
}

void codes(const LevelGrid& grid, const BlockTile& tile, const Lanes& scale, const Lanes& zero,
           int lane_count, int64_t stride, uint8_t* out) {
  with_snap(grid, zero, [&](const auto& snap) {
    const F inverse = 1.0F / (load(scale) * grid.unit);
    int64_t j = 0;
    for (; j + kLanes <= tile.n; j += kLanes) {
      store_codes(snap, tile.x + j * kLanes, inverse, lane_count, stride, out + j);
    }
    for (; j < tile.n; ++j) {
      const I c = snap.code(load(tile.x + j * kLanes) * inverse);
      for (int l = 0; l < lane_count; ++l) out[l * stride + j] = static_cast<uint8_t>(c[l]);
    }
  });
}

LevelKernels kernels(std::string_view name, bool runs_here) {
  return {name, runs_here, all_finite, load_tile, extremes, evaluate, codes};
}
