// Softmax, LogSoftmax and Hardmax. Until opset 12 the input is seen as a matrix, cut before `axis`
// (1 by default); from 13 on they work along one axis (the last by default).

#include <cmath>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

// Lines of `length` elements `inner` apart; `inner` of them lie side by side.
struct Lines {
  int64_t outer, length, inner;
};

Result<Lines> read_lines(const OpContext& ctx) {
  const Dims& dims = ctx.in(0).dims();
  const int64_t rank = ctx.in(0).rank();
  if (ctx.opset() >= 13) {
    FEWBIT_ASSIGN(const int64_t axis,
                  normalize_axis(ctx.node(), ctx.node().get_int("axis", -1), rank));
    return Lines{product(dims, 0, axis), dims[static_cast<size_t>(axis)],
                 product(dims, axis + 1, rank)};
  }
  // Here `axis` may be the rank: everything is one column.
  int64_t axis = ctx.node().get_int("axis", 1);
  if (axis != rank) {
    FEWBIT_ASSIGN(axis, normalize_axis(ctx.node(), axis, rank));
  }
  return Lines{product(dims, 0, axis), product(dims, axis, rank), 1};
}

// Calls f(x, y, length, stride) for each line. Several lines side by side are walked one by one.
template <typename F>
Status for_each_line(OpContext& ctx, const F& f) {
  FEWBIT_ASSIGN(const Lines lines, read_lines(ctx));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), x.dims()));
  if (x.elements() == 0) return {};
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* src = x.data<T>();
    T* dst = y->data<T>();
#pragma omp parallel for schedule(static) if (worth_threads(x.elements(), 8))
    for (int64_t line = 0; line < lines.outer * lines.inner; ++line) {
      const int64_t start = line / lines.inner * lines.length * lines.inner + line % lines.inner;
      f(src + start, dst + start, lines.length, lines.inner);
    }
    return {};
  });
}

template <typename T>
T largest(const T* x, int64_t length, int64_t stride) {
  T best = x[0];
  for (int64_t i = 1; i < length; ++i) best = x[i * stride] > best ? x[i * stride] : best;
  return best;
}

Status softmax(OpContext& ctx) {
  return for_each_line(ctx, [](const auto* x, auto* y, int64_t length, int64_t stride) {
    const auto top = largest(x, length, stride);
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) {
      y[i * stride] = std::exp(x[i * stride] - top);
      sum += static_cast<double>(y[i * stride]);
    }
    const auto inverse = static_cast<std::decay_t<decltype(*y)>>(1.0 / sum);
    for (int64_t i = 0; i < length; ++i) y[i * stride] *= inverse;
  });
}

Status log_softmax(OpContext& ctx) {
  return for_each_line(ctx, [](const auto* x, auto* y, int64_t length, int64_t stride) {
    const auto top = largest(x, length, stride);
    double sum = 0;
    for (int64_t i = 0; i < length; ++i) sum += static_cast<double>(std::exp(x[i * stride] - top));
    const auto log_sum = static_cast<std::decay_t<decltype(*y)>>(std::log(sum));
    for (int64_t i = 0; i < length; ++i) y[i * stride] = x[i * stride] - top - log_sum;
  });
}

Status hardmax(OpContext& ctx) {
  return for_each_line(ctx, [](const auto* x, auto* y, int64_t length, int64_t stride) {
    int64_t best = 0;
    for (int64_t i = 0; i < length; ++i) {
      y[i * stride] = 0;
      if (x[i * stride] > x[best * stride]) best = i;
    }
    y[best * stride] = 1;
  });
}

constexpr OpRow kRows[] = {
    {"", "Softmax", 1, in_float<softmax>},
    {"", "LogSoftmax", 1, in_float<log_softmax>},
    {"", "Hardmax", 1, in_float<hardmax>},
};

}  // namespace

std::span<const OpRow> softmax_table() {
  return kRows;
}

}  // namespace fewbit::ops
