// GridSample and AffineGrid: Jaderberg et al., Spatial Transformer Networks, 2015. One to three
// spatial dimensions.

#include <algorithm>
#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

enum class Padding { kZeros, kBorder, kReflection };

struct SampleOptions {
  int taps = 2;  ///< 1 nearest, 2 linear, 4 cubic
  Padding padding = Padding::kZeros;
  bool align_corners = false;
};

Result<SampleOptions> read_sample_options(const Node& node) {
  SampleOptions o;
  const std::string mode = node.get_string("mode", "linear");
  const std::string padding = node.get_string("padding_mode", "zeros");
  if (mode == "nearest") {
    o.taps = 1;
  } else if (mode == "cubic" || mode == "bicubic") {
    o.taps = 4;
  } else if (mode != "linear" && mode != "bilinear") {
    return node_error(node, "mode '{}' is not known", mode);
  }
  if (padding == "border") {
    o.padding = Padding::kBorder;
  } else if (padding == "reflection") {
    o.padding = Padding::kReflection;
  } else if (padding != "zeros") {
    return node_error(node, "padding_mode '{}' is not known", padding);
  }
  o.align_corners = node.get_int("align_corners", 0) != 0;
  return o;
}

// x folded back at the borders [low, high] until it lies between them.
template <typename T>
T reflect(T x, T low, T high) {
  const T range = high - low;
  if (!(range > 0)) return low;
  const T distance = x < low ? low - x : (x > high ? x - high : T{0});
  if (distance == 0) return x;
  const T folds = std::floor(distance / range);
  const T rest = distance - folds * range;
  const bool even = std::fmod(folds, T{2}) == 0;
  return (x < low) == even ? low + rest : high - rest;
}

// Keys, 1981, equation 4, with a = -0.75.
template <typename T>
void cubic_weights(T x, T* weight) {
  constexpr T a = -0.75;
  const auto near = [](T d) { return ((a + 2) * d - (a + 3)) * d * d + 1; };
  const auto far = [](T d) { return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a; };
  weight[0] = far(x + 1);
  weight[1] = near(x);
  weight[2] = near(1 - x);
  weight[3] = far(2 - x);
}

// Positions and weights along one dimension; a position of -1 is outside and counts as zero.
template <typename T>
struct AxisTaps {
  std::array<int64_t, 4> index{0, 0, 0, 0};
  std::array<T, 4> weight{1, 0, 0, 0};
};

template <typename T>
AxisTaps<T> axis_taps(const SampleOptions& o, T normalized, int64_t extent) {
  const T size = static_cast<T>(extent);
  const T low = o.align_corners ? T{0} : T{-0.5};
  const T high = o.align_corners ? size - 1 : size - T{0.5};
  T x = o.align_corners ? (normalized + 1) / 2 * (size - 1) : ((normalized + 1) * size - 1) / 2;
  if (o.taps == 1) x = std::nearbyint(x);
  if (!(x >= low && x <= high)) {
    // Cubic taps are limited one by one further down (as in PyTorch's grid_sample): the curve goes
    // on beyond the border. From four elements outside on, every tap is the border's.
    const T beyond = o.taps == 4 ? T{4} : T{0};
    if (o.padding == Padding::kBorder) x = std::clamp(x, -beyond, size - 1 + beyond);
    if (o.padding == Padding::kReflection) x = reflect(x, low, high);
  }
  AxisTaps<T> taps;
  // Far outside, infinite or NaN: nothing of the input is within reach.
  if (!(x > -8 && x < size + 8)) {
    taps.index.fill(-1);
    return taps;
  }
  const T floor = std::floor(x);
  const T part = x - floor;
  if (o.taps == 2) taps.weight = {1 - part, part, 0, 0};
  if (o.taps == 4) cubic_weights(part, taps.weight.data());
  const int64_t first = static_cast<int64_t>(floor) - (o.taps == 4 ? 1 : 0);
  for (int t = 0; t < o.taps; ++t) {
    int64_t i = first + t;
    if (o.padding == Padding::kReflection) {
      i = static_cast<int64_t>(reflect(static_cast<T>(i), low, high));
    }
    if (o.padding != Padding::kZeros) i = std::clamp<int64_t>(i, 0, extent - 1);
    taps.index[static_cast<size_t>(t)] = i >= 0 && i < extent ? i : -1;
  }
  return taps;
}

// X [N, C, in...], grid [N, out..., r] with the innermost dimension first.
struct SampleProblem {
  int64_t batch, channels, points;
  int rank;
  std::array<int64_t, 3> in{1, 1, 1};
  Dims out_dims;
};

Result<SampleProblem> read_sample_problem(const OpContext& ctx) {
  const Dims& xd = ctx.in(0).dims();
  const Dims& gd = ctx.in(1).dims();
  const size_t rank = xd.size() < 2 ? 0 : xd.size() - 2;
  if (rank < 1 || rank > 3) {
    return unsupported("{}: {} spatial dimensions; 1 to 3 are supported", ctx.node().label(), rank);
  }
  if (gd.size() != rank + 2 || gd[0] != xd[0] || gd.back() != static_cast<int64_t>(rank)) {
    return node_error(ctx.node(), "a grid of shape {} does not fit input {}", to_string(gd),
                      to_string(xd));
  }
  SampleProblem p{
      xd[0],     xd[1],         product(gd, 1, ctx.in(1).rank() - 1), static_cast<int>(rank),
      {1, 1, 1}, {xd[0], xd[1]}};
  for (size_t d = 0; d < rank; ++d) p.in[3 - rank + d] = xd[2 + d];
  p.out_dims.insert(p.out_dims.end(), gd.begin() + 1, gd.end() - 1);
  if (*std::min_element(p.in.begin(), p.in.end()) < 1) {
    return node_error(ctx.node(), "a spatial dimension of the input is empty");
  }
  return p;
}

// All taps of one output point: offsets in a plane and weights.
template <typename T>
struct PointTaps {
  size_t count = 0;
  std::array<int64_t, 64> at;
  std::array<T, 64> weight;
};

template <typename T>
void gather_taps(const SampleProblem& p, const SampleOptions& o, const T* coordinates,
                 PointTaps<T>& all) {
  std::array<AxisTaps<T>, 3> axis;
  std::array<int, 3> taps{1, 1, 1};
  for (int r = 0; r < p.rank; ++r) {
    const auto d = static_cast<size_t>(3 - p.rank + r);
    taps[d] = o.taps;
    axis[d] = axis_taps(o, coordinates[p.rank - 1 - r], p.in[d]);
  }
  all.count = 0;
  for (size_t z = 0; z < static_cast<size_t>(taps[0]); ++z) {
    for (size_t y = 0; y < static_cast<size_t>(taps[1]); ++y) {
      for (size_t x = 0; x < static_cast<size_t>(taps[2]); ++x) {
        const int64_t iz = axis[0].index[z], iy = axis[1].index[y], ix = axis[2].index[x];
        if (iz < 0 || iy < 0 || ix < 0) continue;
        all.at[all.count] = (iz * p.in[1] + iy) * p.in[2] + ix;
        all.weight[all.count++] = axis[0].weight[z] * axis[1].weight[y] * axis[2].weight[x];
      }
    }
  }
}

// T is the type of the grid, V that of the values.
template <typename T, typename V>
void sample(const SampleProblem& p, const SampleOptions& o, const V* x, const T* grid, V* y) {
  const int64_t plane = p.in[0] * p.in[1] * p.in[2];
#pragma omp parallel for collapse(2) \
    schedule(static) if (worth_threads(p.batch, p.points, p.channels, 16))
  for (int64_t n = 0; n < p.batch; ++n) {
    for (int64_t i = 0; i < p.points; ++i) {
      PointTaps<T> taps;
      gather_taps(p, o, grid + (n * p.points + i) * p.rank, taps);
      for (int64_t c = 0; c < p.channels; ++c) {
        const V* src = x + (n * p.channels + c) * plane;
        V sum = 0;
        for (size_t t = 0; t < taps.count; ++t)
          sum += static_cast<V>(taps.weight[t]) * src[taps.at[t]];
        y[(n * p.channels + c) * p.points + i] = sum;
      }
    }
  }
}

Status grid_sample(OpContext& ctx) {
  FEWBIT_ASSIGN(const SampleOptions o, read_sample_options(ctx.node()));
  FEWBIT_ASSIGN(const SampleProblem p, read_sample_problem(ctx));
  const DType type = ctx.in(0).type();
  if (!is_float(ctx.in(1).type())) return type_error(ctx.node(), ctx.in(1).type());
  if (!is_float(type) && !is_integer(type)) return type_error(ctx.node(), type);
  const bool narrow = is_narrow_float(type) || type == DType::kFloat32;
  const DType value_type = narrow ? DType::kFloat32 : DType::kFloat64;
  const DType grid_type = ctx.in(1).type() == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
  FEWBIT_ASSIGN(const Tensor x, cast(ctx.in(0), value_type));
  FEWBIT_ASSIGN(const Tensor grid, cast(ctx.in(1), grid_type));
  FEWBIT_ASSIGN(Tensor y, make_tensor(ctx.node(), value_type, p.out_dims));
  FEWBIT_TRY(dispatch(ctx.node(), value_type, Floats{}, [&](auto value_tag) -> Status {
    using V = typename decltype(value_tag)::type;
    return dispatch(ctx.node(), grid_type, Floats{}, [&](auto tag) -> Status {
      using T = typename decltype(tag)::type;
      sample(p, o, x.data<V>(), grid.data<T>(), y.data<V>());
      return {};
    });
  }));
  FEWBIT_ASSIGN(Tensor stored, cast(y, type));
  ctx.set_out(0, std::move(stored));
  return {};
}

// Coordinate i of n evenly spaced ones over [-1, 1]: of the corner pixels' centres, or of all
// pixels' centres where the corners are the edges.
double grid_position(int64_t i, int64_t n, bool align_corners) {
  if (align_corners)
    return n == 1 ? -1 : -1 + 2 * static_cast<double>(i) / static_cast<double>(n - 1);
  return -1 + (2 * static_cast<double>(i) + 1) / static_cast<double>(n);
}

// theta [N, r, r + 1], size [N, C, extents...] -> grid [N, extents..., r].
Status affine_grid(OpContext& ctx) {
  const Tensor& theta = ctx.in(0);
  FEWBIT_ASSIGN(const auto size, read_ints(ctx.node(), ctx.in(1), "size"));
  const int64_t rank = static_cast<int64_t>(size.size()) - 2;
  const Dims expected{size.empty() ? 0 : size[0], rank, rank + 1};
  if ((rank != 2 && rank != 3) || theta.dims() != expected) {
    return node_error(ctx.node(), "theta {} and size {} do not fit", to_string(theta.dims()),
                      to_string(size));
  }
  Dims dims(size.begin() + 1, size.end());
  dims[0] = size[0];
  dims.push_back(rank);
  FEWBIT_ASSIGN(Tensor * grid, make_output(ctx, 0, theta.type(), dims));
  const bool align = ctx.node().get_int("align_corners", 0) != 0;
  const int64_t depth = rank == 3 ? size[2] : 1, height = size[size.size() - 2],
                width = size.back();
  return dispatch(ctx.node(), theta.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = grid->data<T>();
    for (int64_t n = 0; n < size[0]; ++n) {
      const T* matrix = theta.data<T>() + n * rank * (rank + 1);
      for (int64_t i = 0; i < depth * height * width; ++i) {
        const std::array<double, 3> at{grid_position(i % width, width, align),
                                       grid_position(i / width % height, height, align),
                                       grid_position(i / width / height, depth, align)};
        for (int64_t r = 0; r < rank; ++r) {
          const T* row = matrix + r * (rank + 1);
          double v = static_cast<double>(row[rank]);
          for (int64_t k = 0; k < rank; ++k) {
            v += static_cast<double>(row[k]) * at[static_cast<size_t>(k)];
          }
          *out++ = static_cast<T>(v);
        }
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "GridSample", 16, grid_sample},
    {"", "AffineGrid", 20, in_float<affine_grid>},
};

}  // namespace

std::span<const OpRow> grid_sample_table() {
  return kRows;
}

}  // namespace fewbit::ops
