#pragma once
// From an element type to C++ code, once for all operators.
//
//   return dispatch(node, x.type(), Numbers{}, [&](auto tag) -> Status {
//     using T = typename decltype(tag)::type;
//     ...
//   });
//
// float16, bfloat16 and the 8- and 4-bit floats have no arithmetic of their own: an operator is
// written for float, and `in_float<run>` is what its table row names. It widens the narrow inputs,
// runs, and rounds the float outputs back once. In the same way `unpacked<run>` lets an operator
// that only moves elements see types of 4 and 2 bits as bytes.

#include <cstdint>
#include <string>

#include "numerics/convert.h"
#include "runtime/op.h"
#include "runtime/ops/op_support.h"

namespace fewbit::ops {

template <typename T>
struct TypeTag {
  using type = T;
};

template <typename... Ts>
struct Types {};

using Floats = Types<float, double>;
using SignedIntegers = Types<int8_t, int16_t, int32_t, int64_t>;
using UnsignedIntegers = Types<uint8_t, uint16_t, uint32_t, uint64_t>;
using Integers = Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using IntegersAndBool =
    Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t, bool>;
using SignedNumbers = Types<float, double, int8_t, int16_t, int32_t, int64_t>;
using Numbers =
    Types<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
using NumbersAndBool = Types<float, double, int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t,
                             uint32_t, uint64_t, bool>;

/// Calls f(TypeTag<T>) for the T of the list that is `type`; otherwise an error naming the node.
template <typename... Ts, typename F>
Status dispatch(const Node& node, DType type, Types<Ts...>, F&& f) {
  Status status;
  bool found = ((DTypeOf<Ts>::value == type ? (status = f(TypeTag<Ts>{}), true) : false) || ...);
  if (!found) return type_error(node, type);
  return status;
}

/// An element of 16 bytes (complex128) as something that can be copied.
struct Bytes16 {
  uint64_t low, high;
  bool operator==(const Bytes16&) const = default;
};

/// For operators that only move elements: T is an unsigned integer of the element's size, Bytes16,
/// or std::string. Types below 8 bits are an error here; see `unpacked`.
template <typename F>
Status dispatch_storage(const Node& node, DType type, F&& f) {
  if (type == DType::kString) return f(TypeTag<std::string>{});
  switch (bits_of(type)) {
    case 8:
      return f(TypeTag<uint8_t>{});
    case 16:
      return f(TypeTag<uint16_t>{});
    case 32:
      return f(TypeTag<uint32_t>{});
    case 64:
      return f(TypeTag<uint64_t>{});
    case 128:
      return f(TypeTag<Bytes16>{});
    default:
      return type_error(node, type);
  }
}

/// Floats without arithmetic here: all but float32 and float64.
bool is_narrow_float(DType type);

/// 4- and 2-bit types.
bool is_packed(DType type);

/// One byte per element (its code, zero-extended), type uint8, and back.
Tensor unpack_codes(const Tensor& packed);
Tensor pack_codes(const Tensor& codes, DType type);

Status run_in_float(OpContext& ctx, OpFunction run);
Status run_unpacked(OpContext& ctx, OpFunction run);

/// `run`, with narrow floating-point inputs widened to float32 and float32 outputs rounded back to
/// the type of the first of them.
template <OpFunction run>
Status in_float(OpContext& ctx) {
  return run_in_float(ctx, run);
}

/// `run`, with packed inputs unpacked to uint8 and uint8 outputs packed again.
template <OpFunction run>
Status unpacked(OpContext& ctx) {
  return run_unpacked(ctx, run);
}

}  // namespace fewbit::ops
