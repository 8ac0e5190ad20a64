// Normalisations without parameters: LpNormalization, MeanVarianceNormalization, LRN.

#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// A vector of norm 0 stays 0.
Status lp_normalization(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(const int64_t axis,
                normalize_axis(ctx.node(), ctx.node().get_int("axis", -1), x.rank()));
  const int64_t p = ctx.node().get_int("p", 2);
  if (p != 1 && p != 2) return node_error(ctx.node(), "p must be 1 or 2, is {}", p);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  if (x.elements() == 0) return {};
  const int64_t length = x.dim(axis), inner = product(x.dims(), axis + 1, x.rank());
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (int64_t line = 0; line < x.elements() / length; ++line) {
      const int64_t start = line / inner * length * inner + line % inner;
      const T* src = x.data<T>() + start;
      T* dst = y->data<T>() + start;
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) {
        const double v = std::fabs(static_cast<double>(src[i * inner]));
        sum += p == 1 ? v : v * v;
      }
      const double norm = p == 1 ? sum : std::sqrt(sum);
      for (int64_t i = 0; i < length; ++i) {
        dst[i * inner] =
            norm == 0 ? T{0} : static_cast<T>(static_cast<double>(src[i * inner]) / norm);
      }
    }
    return {};
  });
}

// (x - mean) / (standard deviation + 1e-9), over `axes`: ONNX's function body.
Status mean_variance_normalization(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(const auto axes,
                normalize_axes(ctx.node(), ctx.node().get_ints("axes", {0, 2, 3}), x.rank()));
  const Dims strides = strides_of(x.dims());
  std::vector<bool> reduced(x.dims().size(), false);
  for (int64_t a : axes) reduced[static_cast<size_t>(a)] = true;
  Dims kept_dims, kept_strides, dims, inner_strides;
  for (size_t d = 0; d < reduced.size(); ++d) {
    (reduced[d] ? dims : kept_dims).push_back(x.dims()[d]);
    (reduced[d] ? inner_strides : kept_strides).push_back(strides[d]);
  }
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  const auto count = static_cast<double>(elements_of(dims));
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    walk(kept_dims, kept_strides, [&](int64_t start) {
      const T* src = x.data<T>() + start;
      T* dst = y->data<T>() + start;
      double sum = 0, squares = 0;
      walk(dims, inner_strides, [&](int64_t i) { sum += static_cast<double>(src[i]); });
      const double mean = sum / count;
      walk(dims, inner_strides, [&](int64_t i) {
        const double d = static_cast<double>(src[i]) - mean;
        squares += d * d;
      });
      const double deviation = std::sqrt(squares / count) + 1e-9;
      walk(dims, inner_strides, [&](int64_t i) {
        dst[i] = static_cast<T>((static_cast<double>(src[i]) - mean) / deviation);
      });
    });
    return {};
  });
}

// Krizhevsky et al., ImageNet Classification with Deep CNNs, 2012, section 3.3. The window of an
// even `size` reaches one channel further up than down.
Status lrn(OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor& x = ctx.in(0);
  const int64_t size = node.get_int("size", 0);
  if (x.rank() < 2 || size < 1) {
    return node_error(node, "input {} with size {} makes no sense", to_string(x.dims()), size);
  }
  const double alpha = node.get_float("alpha", 1e-4F) / static_cast<double>(size);
  const double beta = node.get_float("beta", 0.75F), bias = node.get_float("bias", 1.0F);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  if (x.elements() == 0) return {};
  const int64_t batch = x.dim(0), channels = x.dim(1), plane = x.elements() / (batch * channels);
  const int64_t below = (size - 1) / 2, above = size - 1 - below;
  return dispatch(node, x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
#pragma omp parallel for schedule(static) if (worth_threads(x.elements(), 8))
    for (int64_t row = 0; row < batch * channels; ++row) {
      const int64_t c = row % channels;
      const int64_t first = std::max<int64_t>(0, c - below);
      const int64_t last = above >= channels - c ? channels - 1 : c + above;
      const T* image = x.data<T>() + (row - c) * plane;
      for (int64_t i = 0; i < plane; ++i) {
        double squares = 0;
        for (int64_t k = first; k <= last; ++k) {
          const auto v = static_cast<double>(image[k * plane + i]);
          squares += v * v;
        }
        y->data<T>()[row * plane + i] = static_cast<T>(static_cast<double>(image[c * plane + i]) /
                                                       std::pow(bias + alpha * squares, beta));
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "LpNormalization", 1, in_float<lp_normalization>},
    {"", "MeanVarianceNormalization", 9, in_float<mean_variance_normalization>},
    {"", "LRN", 1, in_float<lrn>},
};

}  // namespace

std::span<const OpRow> normalization_other_table() {
  return kRows;
}

}  // namespace fewbit::ops
