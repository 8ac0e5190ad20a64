// Cast, CastLike, BitCast.

#include "numerics/convert.h"

#include <cstring>

#include "runtime/ops/op_support.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Result<DType> target_type(const Node& node) {
  const int64_t to = node.get_int("to", 0);
  if (to <= 0 || to >= kDTypeCount) return node_error(node, "type number {} is not known", to);
  return static_cast<DType>(to);
}

Status convert(OpContext& ctx, DType to) {
  const Node& node = ctx.node();
  CastOptions options;
  options.saturate = node.get_int("saturate", 1) != 0;
  const std::string mode = node.get_string("round_mode", "up");
  if (mode == "down") {
    options.power_rounding = PowerRounding::kDown;
  } else if (mode == "nearest") {
    options.power_rounding = PowerRounding::kNearest;
  } else if (mode != "up") {
    return node_error(node, "round_mode '{}' is not known", mode);
  }
  Result<Tensor> out = cast(ctx.in(0), to, options);
  if (!out.ok()) return std::move(out).error().with_context(node.label());
  ctx.set_out(0, *std::move(out));
  return {};
}

Status cast_to(OpContext& ctx) {
  FEWBIT_ASSIGN(DType to, target_type(ctx.node()));
  return convert(ctx, to);
}

Status cast_like(OpContext& ctx) {
  return convert(ctx, ctx.in(1).type());
}

Status bit_cast(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(DType to, target_type(ctx.node()));
  if (bits_of(to) != bits_of(x.type()) || bits_of(to) == 0) {
    return node_error(ctx.node(), "{} and {} differ in size", name_of(x.type()), name_of(to));
  }
  Tensor& out = ctx.out(0, to, x.dims());
  if (x.bytes() > 0) std::memcpy(out.raw(), x.raw(), static_cast<size_t>(x.bytes()));
  if (to == DType::kBool) {
    // A bool of another value than 0 and 1 must not exist.
    auto* bytes = reinterpret_cast<uint8_t*>(out.raw());
    for (int64_t i = 0; i < out.elements(); ++i) bytes[i] = bytes[i] != 0 ? 1 : 0;
  }
  return {};
}

constexpr OpRow kRows[] = {
    {"", "Cast", 6, cast_to},
    {"", "CastLike", 15, cast_like},
    {"", "BitCast", 26, bit_cast},
};

}  // namespace

std::span<const OpRow> cast_table() {
  return kRows;
}

}  // namespace fewbit::ops
