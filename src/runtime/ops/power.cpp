// Pow: base and exponent may differ in type; the result has the base's.

#include <cmath>
#include <type_traits>
#include <utility>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

template <typename T>
T integer_power(T base, uint64_t exponent) {
  T result = 1;
  for (; exponent != 0; exponent >>= 1) {
    if ((exponent & 1) != 0) result = wrap_mul(result, base);
    base = wrap_mul(base, base);
  }
  return result;
}

template <typename T, typename E>
T power(T base, E exponent) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::pow(base, exponent);
  } else {
    if constexpr (std::is_integral_v<E>) {
      if (exponent >= E{0}) return integer_power(base, static_cast<uint64_t>(exponent));
    }
    return saturate_to<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
  }
}

template <typename T, typename E>
void power_run(const std::byte* base, int64_t base_step, const std::byte* exponent,
               int64_t exponent_step, std::byte* out, int64_t n) {
  const T* x = reinterpret_cast<const T*>(base);
  const E* e = reinterpret_cast<const E*>(exponent);
  T* to = reinterpret_cast<T*>(out);
  // The square of a float is by far the most frequent power in real networks.
  if (std::is_floating_point_v<T> && exponent_step == 0 && base_step == 1 && *e == E{2}) {
    for (int64_t i = 0; i < n; ++i) to[i] = x[i] * x[i];
    return;
  }
  binary_run(x, base_step, e, exponent_step, to, n, power<T, E>);
}

// A float is raised to a power of its own type; an integer to any integer, exactly, or to a double.
DType exponent_type(DType base, DType exponent) {
  if (!is_integer(base)) return base;
  if (!is_integer(exponent)) return DType::kFloat64;
  return exponent == DType::kUint64 ? DType::kUint64 : DType::kInt64;
}

template <typename T>
BinaryRun integer_power_run(DType exponent) {
  if (exponent == DType::kFloat64) return power_run<T, double>;
  return exponent == DType::kUint64 ? power_run<T, uint64_t> : power_run<T, int64_t>;
}

BinaryRun find_power_run(DType base, DType exponent) {
  switch (base) {
    case DType::kFloat32:
      return power_run<float, float>;
    case DType::kFloat64:
      return power_run<double, double>;
    case DType::kInt32:
      return integer_power_run<int32_t>(exponent);
    case DType::kInt64:
      return integer_power_run<int64_t>(exponent);
    default:
      return nullptr;
  }
}

Status wide_pow(OpContext& ctx) {
  const Tensor& base = ctx.in(0);
  Tensor exponent = ctx.in(1);
  const DType type = exponent_type(base.type(), exponent.type());
  const BinaryRun run = find_power_run(base.type(), type);
  if (run == nullptr) return type_error(ctx.node(), base.type());
  const bool number = is_float(exponent.type()) || is_integer(exponent.type());
  if (!number || !can_cast(exponent.type())) return type_error(ctx.node(), exponent.type());
  if (exponent.type() != type) {
    FEWBIT_ASSIGN(exponent, cast(exponent, type));
  }
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {base.dims(), exponent.dims()}));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, base.type(), plan.dims));
  broadcast_binary(plan, base, exponent, *out, run);
  return {};
}

// Only the base decides whether the result is narrow.
Status pow(OpContext& ctx) {
  return is_narrow_float(ctx.in(0).type()) ? run_in_float(ctx, wide_pow) : wide_pow(ctx);
}

constexpr OpRow kRows[] = {
    {"", "Pow", 7, pow},
};

}  // namespace

std::span<const OpRow> power_table() {
  return kRows;
}

}  // namespace fewbit::ops
