#include "runtime/ops/dispatch.h"

#include "numerics/packed_int.h"

namespace fewbit::ops {

bool is_narrow_float(DType type) {
  return is_float(type) && type != DType::kFloat32 && type != DType::kFloat64;
}

bool is_packed(DType type) {
  return bits_of(type) == 4 || bits_of(type) == 2;
}

// The unsigned unpackers zero-extend, which is what a code is.
Tensor unpack_codes(const Tensor& packed) {
  Tensor codes = Tensor::uninitialized(DType::kUint8, packed.dims());
  const auto* bytes = reinterpret_cast<const uint8_t*>(packed.raw());
  if (bits_of(packed.type()) == 4) {
    unpack_uint4(bytes, codes.span<uint8_t>());
  } else {
    unpack_uint2(bytes, codes.span<uint8_t>());
  }
  return codes;
}

Tensor pack_codes(const Tensor& codes, DType type) {
  Tensor packed = Tensor::zeros(type, codes.dims());
  auto* bytes = reinterpret_cast<uint8_t*>(packed.raw());
  if (bits_of(type) == 4) {
    pack_uint4(codes.span<uint8_t>(), bytes);
  } else {
    pack_uint2(codes.span<uint8_t>(), bytes);
  }
  return packed;
}

namespace {

OpContext inner_context(OpContext& outer, std::vector<RuntimeValue> inputs) {
  OpContext inner(outer.node(), std::move(inputs));
  inner.run_subgraph = outer.run_subgraph;
  inner.seed = outer.seed;
  return inner;
}

std::vector<RuntimeValue> inputs_of(const OpContext& ctx) {
  std::vector<RuntimeValue> inputs;
  inputs.reserve(ctx.input_count());
  for (size_t i = 0; i < ctx.input_count(); ++i) inputs.push_back(ctx.in_value(i));
  return inputs;
}

}  // namespace

Status run_in_float(OpContext& ctx, OpFunction run) {
  DType narrow = DType::kUndefined;
  for (size_t i = 0; i < ctx.input_count() && narrow == DType::kUndefined; ++i) {
    const RuntimeValue& v = ctx.in_value(i);
    if (v.is_tensor() && is_narrow_float(v.tensor().type())) narrow = v.tensor().type();
  }
  if (narrow == DType::kUndefined) return run(ctx);
  std::vector<RuntimeValue> inputs = inputs_of(ctx);
  for (RuntimeValue& v : inputs) {
    if (!v.is_tensor() || !is_narrow_float(v.tensor().type())) continue;
    FEWBIT_ASSIGN(Tensor wide, cast(v.tensor(), DType::kFloat32));
    v = std::move(wide);
  }
  OpContext inner = inner_context(ctx, std::move(inputs));
  FEWBIT_TRY(run(inner));
  for (size_t i = 0; i < inner.output_count(); ++i) {
    RuntimeValue& v = inner.outputs()[i];
    if (v.is_tensor() && v.tensor().type() == DType::kFloat32) {
      FEWBIT_ASSIGN(Tensor rounded, cast(v.tensor(), narrow));
      v = std::move(rounded);
    }
    ctx.set_out(i, std::move(v));
  }
  return {};
}

Status run_unpacked(OpContext& ctx, OpFunction run) {
  DType packed = DType::kUndefined;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    const RuntimeValue& v = ctx.in_value(i);
    if (v.is_tensor() && is_packed(v.tensor().type())) packed = v.tensor().type();
  }
  if (packed == DType::kUndefined) return run(ctx);
  std::vector<RuntimeValue> inputs = inputs_of(ctx);
  for (RuntimeValue& v : inputs) {
    if (v.is_tensor() && is_packed(v.tensor().type())) v = unpack_codes(v.tensor());
  }
  OpContext inner = inner_context(ctx, std::move(inputs));
  FEWBIT_TRY(run(inner));
  for (size_t i = 0; i < inner.output_count(); ++i) {
    RuntimeValue& v = inner.outputs()[i];
    if (v.is_tensor() && v.tensor().type() == DType::kUint8) {
      v = pack_codes(v.tensor(), packed);
    }
    ctx.set_out(i, std::move(v));
  }
  return {};
}

}  // namespace fewbit::ops
