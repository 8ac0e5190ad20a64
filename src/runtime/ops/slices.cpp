#include "runtime/ops/slices.h"

#include <algorithm>

namespace fewbit::ops {

Result<Tensor> slice_at(const Node& node, const Tensor& tensor, int64_t axis, int64_t index) {
  if (axis < 0 || axis >= tensor.rank() || index < 0 || index >= tensor.dim(axis)) {
    return node_error(node, "no element {} along axis {} of {}", index, axis,
                      to_string(tensor.dims()));
  }
  if (is_packed(tensor.type())) {
    FEWBIT_ASSIGN(const Tensor codes, slice_at(node, unpack_codes(tensor), axis, index));
    return pack_codes(codes, tensor.type());
  }
  Dims dims = tensor.dims();
  dims.erase(dims.begin() + axis);
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, tensor.type(), dims));
  const int64_t outer = product(tensor.dims(), 0, axis);
  const int64_t inner = product(tensor.dims(), axis + 1, tensor.rank());
  FEWBIT_TRY(dispatch_storage(node, tensor.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (int64_t o = 0; o < outer; ++o) {
      std::copy_n(elements<T>(tensor) + (o * tensor.dim(axis) + index) * inner, inner,
                  elements<T>(out) + o * inner);
    }
    return {};
  }));
  return out;
}

Result<Tensor> stack(const Node& node, const std::vector<Tensor>& parts, int64_t axis) {
  const Tensor& first = parts.front();
  if (axis < 0 || axis > first.rank()) {
    return node_error(node, "no axis {} in a stack of {}", axis, to_string(first.dims()));
  }
  for (const Tensor& part : parts) {
    if (part.type() == first.type() && part.dims() == first.dims()) continue;
    return node_error(node, "scanned values differ: {} {} and {} {}", name_of(first.type()),
                      to_string(first.dims()), name_of(part.type()), to_string(part.dims()));
  }
  if (is_packed(first.type())) {
    std::vector<Tensor> codes;
    for (const Tensor& part : parts) codes.push_back(unpack_codes(part));
    FEWBIT_ASSIGN(const Tensor stacked, stack(node, codes, axis));
    return pack_codes(stacked, first.type());
  }
  const auto count = static_cast<int64_t>(parts.size());
  Dims dims = first.dims();
  dims.insert(dims.begin() + axis, count);
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, first.type(), dims));
  const int64_t outer = product(first.dims(), 0, axis);
  const int64_t inner = product(first.dims(), axis, first.rank());
  FEWBIT_TRY(dispatch_storage(node, first.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (int64_t p = 0; p < count; ++p) {
      const T* src = elements<T>(parts[static_cast<size_t>(p)]);
      for (int64_t o = 0; o < outer; ++o) {
        std::copy_n(src + o * inner, inner, elements<T>(out) + (o * count + p) * inner);
      }
    }
    return {};
  }));
  return out;
}

}  // namespace fewbit::ops
