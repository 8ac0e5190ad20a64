// Gather, GatherElements, GatherND: elements picked by indices.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/index_support.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Status gather(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  const int64_t n = x.dim(axis);
  FEWBIT_ASSIGN(std::vector<int64_t> indices, read_indices(node, ctx.in(1), n));
  Dims dims(x.dims().begin(), x.dims().begin() + axis);
  dims.insert(dims.end(), ctx.in(1).dims().begin(), ctx.in(1).dims().end());
  dims.insert(dims.end(), x.dims().begin() + axis + 1, x.dims().end());
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), dims));
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* to = elements<T>(*out);
    for (int64_t o = 0; o < outer; ++o) {
      for (int64_t i : indices) {
        to = std::copy_n(elements<T>(x) + (o * n + i) * inner, inner, to);
      }
    }
    return {};
  });
}

Status gather_elements(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  const Dims& dims = ctx.in(1).dims();
  FEWBIT_TRY(check_covers(node, x.dims(), dims, axis));
  FEWBIT_ASSIGN(std::vector<int64_t> indices, read_indices(node, ctx.in(1), x.dim(axis)));
  Tensor& out = ctx.out(0, x.type(), dims);
  Dims strides = strides_of(x.dims());
  const int64_t axis_stride = strides[static_cast<size_t>(axis)];
  strides[static_cast<size_t>(axis)] = 0;
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* to = elements<T>(out);
    auto index = indices.begin();
    walk(dims, strides, [&](int64_t at) { *to++ = elements<T>(x)[at + *index++ * axis_stride]; });
    return {};
  });
}

// The last dimension of the indices names a place in dimensions batch_dims ... of the data; what
// lies behind it is copied as a block.
Status gather_nd(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Tensor& index_tensor = ctx.in(1);
  const Node& node = ctx.node();
  const int64_t batch_dims = node.get_int("batch_dims", 0);
  const Dims& index_dims = index_tensor.dims();
  if (index_dims.empty() || batch_dims < 0 ||
      batch_dims >= std::min(x.rank(), index_tensor.rank()) ||
      index_dims.back() > x.rank() - batch_dims) {
    return node_error(node, "indices of shape {} do not fit data of shape {} with {} batch dims",
                      to_string(index_dims), to_string(x.dims()), batch_dims);
  }
  for (int64_t i = 0; i < batch_dims; ++i) {
    if (x.dim(i) != index_tensor.dim(i)) return node_error(node, "batch dimension {} differs", i);
  }
  FEWBIT_ASSIGN(std::vector<int64_t> places, read_places(node, index_tensor, x.dims(), batch_dims));
  const int64_t depth = index_dims.back();
  Dims dims(index_dims.begin(), index_dims.end() - 1);
  dims.insert(dims.end(), x.dims().begin() + batch_dims + depth, x.dims().end());
  const int64_t block = product(x.dims(), batch_dims + depth, x.rank());
  const int64_t batch = product(x.dims(), 0, batch_dims);
  const int64_t batch_elements = product(x.dims(), batch_dims, x.rank());
  const int64_t per_batch = product(index_dims, batch_dims, index_tensor.rank() - 1);
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), dims));
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* to = elements<T>(*out);
    auto place = places.begin();
    for (int64_t b = 0; b < batch; ++b) {
      for (int64_t i = 0; i < per_batch; ++i) {
        to = std::copy_n(elements<T>(x) + b * batch_elements + *place++, block, to);
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Gather", 1, unpacked<gather>},
    {"", "GatherElements", 11, unpacked<gather_elements>},
    {"", "GatherND", 11, unpacked<gather_nd>},
};

}  // namespace

std::span<const OpRow> gather_table() {
  return kRows;
}

}  // namespace fewbit::ops
