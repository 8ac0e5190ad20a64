// MatMul, Gemm, Det.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/matrix_product.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// numpy.matmul: a vector gains a dimension that the result loses again; leading dimensions
// broadcast.
Status matmul(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  const Node& node = ctx.node();
  if (a.type() != b.type()) {
    return node_error(node, "inputs have different types, {} and {}", name_of(a.type()),
                      name_of(b.type()));
  }
  if (a.rank() == 0 || b.rank() == 0) return node_error(node, "an input is a scalar");
  Dims da = a.dims();
  Dims db = b.dims();
  const bool a_is_vector = da.size() == 1;
  const bool b_is_vector = db.size() == 1;
  if (a_is_vector) da.insert(da.begin(), 1);
  if (b_is_vector) db.push_back(1);
  const int64_t m = da[da.size() - 2];
  const int64_t k = da.back();
  const int64_t n = db.back();
  if (db[db.size() - 2] != k) {
    return node_error(node, "shapes {} and {} do not multiply", to_string(a.dims()),
                      to_string(b.dims()));
  }
  const Dims batch_a(da.begin(), da.end() - 2);
  const Dims batch_b(db.begin(), db.end() - 2);
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(node, {batch_a, batch_b}));
  Dims dims = plan.dims;
  if (!a_is_vector) dims.push_back(m);
  if (!b_is_vector) dims.push_back(n);
  return dispatch(node, a.type(), MatrixTypes{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    using P = typename ProductType<T>::type;
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, a.type(), dims));
    auto* to = out->data<P>();
    for_each_run(plan, [&](int64_t at, const auto& offsets, int64_t run) {
      for (int64_t i = 0; i < run; ++i) {
        matrix_product(m, n, k, a.data<P>() + (offsets[0] + i * plan.run_stride[0]) * m * k,
                       b.data<P>() + (offsets[1] + i * plan.run_stride[1]) * k * n,
                       to + (at + i) * m * n);
      }
    });
    return {};
  });
}

template <typename T>
Tensor transposed(const Tensor& x) {
  const int64_t rows = x.dim(0);
  const int64_t columns = x.dim(1);
  Tensor out = Tensor::uninitialized(x.type(), {columns, rows});
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      out.data<T>()[j * rows + i] = x.data<T>()[i * columns + j];
    }
  }
  return out;
}

// y = alpha * product + beta * c, the scalars in double for integer types.
template <typename T>
struct AddScaled {
  float alpha;
  float beta;
  T operator()(T product, T c) const {
    if constexpr (std::is_floating_point_v<T>) {
      return static_cast<T>(alpha) * product + static_cast<T>(beta) * c;
    } else {
      if (alpha == 1.0F && beta == 1.0F) return wrap_add(product, c);
      return saturate_to<T>(static_cast<double>(alpha) * static_cast<double>(product) +
                            static_cast<double>(beta) * static_cast<double>(c));
    }
  }
};

template <typename T>
Status gemm_of(OpContext& ctx) {
  const Node& node = ctx.node();
  Tensor a = ctx.in(0);
  Tensor b = ctx.in(1);
  if (node.get_int("transA", 0) != 0) a = transposed<T>(a);
  if (node.get_int("transB", 0) != 0) b = transposed<T>(b);
  if (a.dim(1) != b.dim(0)) {
    return node_error(node, "shapes {} and {} do not multiply", to_string(a.dims()),
                      to_string(b.dims()));
  }
  const Dims dims = {a.dim(0), b.dim(1)};
  using P = typename ProductType<T>::type;
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, a.type(), dims));
  matrix_product(dims[0], dims[1], a.dim(1), std::as_const(a).data<P>(), std::as_const(b).data<P>(),
                 out->data<P>());
  T* y = out->data<T>();
  const float alpha = node.get_float("alpha", 1.0F);
  if (!ctx.has(2)) {
    const AddScaled<T> scale{alpha, 0.0F};
    if (alpha != 1.0F) {
      for (int64_t i = 0; i < out->elements(); ++i) y[i] = scale(y[i], T{0});
    }
    return {};
  }
  const Tensor& c = ctx.in(2);
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(node, {dims, c.dims()}));
  if (plan.dims != dims || c.type() != a.type()) {
    return node_error(node, "C of {} {} does not broadcast to {} {}", name_of(c.type()),
                      to_string(c.dims()), name_of(a.type()), to_string(dims));
  }
  broadcast_binary(plan, y, c.data<T>(), y, AddScaled<T>{alpha, node.get_float("beta", 1.0F)});
  return {};
}

Status gemm(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  if (a.rank() != 2 || b.rank() != 2 || a.type() != b.type()) {
    return node_error(ctx.node(), "A and B must be matrices of one type, are {} {} and {} {}",
                      name_of(a.type()), to_string(a.dims()), name_of(b.type()),
                      to_string(b.dims()));
  }
  return dispatch(ctx.node(), a.type(), MatrixTypes{},
                  [&](auto tag) -> Status { return gemm_of<typename decltype(tag)::type>(ctx); });
}

// Gaussian elimination with partial pivoting; destroys `a`.
double determinant(std::vector<double>& a, size_t n) {
  double det = 1;
  for (size_t column = 0; column < n; ++column) {
    size_t pivot = column;
    for (size_t i = column + 1; i < n; ++i) {
      if (std::fabs(a[i * n + column]) > std::fabs(a[pivot * n + column])) pivot = i;
    }
    if (a[pivot * n + column] == 0) return 0;
    if (pivot != column) {
      for (size_t j = 0; j < n; ++j) std::swap(a[pivot * n + j], a[column * n + j]);
      det = -det;
    }
    det *= a[column * n + column];
    for (size_t i = column + 1; i < n; ++i) {
      const double factor = a[i * n + column] / a[column * n + column];
      for (size_t j = column; j < n; ++j) a[i * n + j] -= factor * a[column * n + j];
    }
  }
  return det;
}

Status det(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  if (x.rank() < 2 || x.dims().back() != x.dim(x.rank() - 2)) {
    return node_error(ctx.node(), "needs square matrices, has shape {}", to_string(x.dims()));
  }
  const int64_t n = x.dims().back();
  const Dims batch(x.dims().begin(), x.dims().end() - 2);
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    Tensor& out = ctx.out(0, x.type(), batch);
    if (out.elements() == 0) return {};
    std::vector<double> work(static_cast<size_t>(n * n));
    for (int64_t i = 0; i < out.elements(); ++i) {
      std::copy_n(x.data<T>() + i * n * n, n * n, work.begin());
      out.data<T>()[i] = static_cast<T>(determinant(work, static_cast<size_t>(n)));
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "MatMul", 1, in_float<matmul>},
    {"", "Gemm", 7, in_float<gemm>},
    {"", "Det", 11, in_float<det>},
};

}  // namespace

std::span<const OpRow> matmul_table() {
  return kRows;
}

}  // namespace fewbit::ops
