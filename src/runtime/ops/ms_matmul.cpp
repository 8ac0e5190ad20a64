// com.microsoft products of quantized matrices: QGemm, MatMulIntegerToFloat, DynamicQuantizeMatMul
// and MatMulNBits.

#include "runtime/ops/float_io.h"
#include "runtime/ops/matrix_product.h"
#include "runtime/ops/nested.h"
#include "runtime/ops/quant_matmul.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Tensor optional_input(const OpContext& ctx, size_t i) {
  return ctx.has(i) ? ctx.in(i) : Tensor();
}

// A quantized matrix product with everything that turns its sums into real values.
struct ScaledProduct {
  Tensor a, a_zero, b, b_zero;
  Tensor a_scale, b_scale;  ///< float32; by rows and by columns
  float alpha = 1;
};

// Real values alpha * a_scale * b_scale * (sums + bias of int32 codes), float32 [..., M, N].
Result<Tensor> real_product(const Node& node, const ScaledProduct& p, const Tensor& code_bias) {
  FEWBIT_ASSIGN(Tensor sums, integer_product(node, p.a, p.a_zero, p.b, p.b_zero));
  FEWBIT_ASSIGN(const PerLine rows, spread(node, p.a, p.a_scale, true));
  FEWBIT_ASSIGN(const PerLine columns, spread(node, p.b, p.b_scale, false));
  if (rows.matrix_step != 0 || columns.matrix_step != 0) {
    return unsupported("{}: scales per matrix of a stack", node.label());
  }
  Tensor signed_sums =
      Tensor::view(DType::kInt32, sums.dims(), sums.raw(), std::make_shared<Tensor>(sums));
  if (code_bias.defined()) {
    FEWBIT_ASSIGN(signed_sums, run_nested(nested_node(node, "Add"), {signed_sums, code_bias}));
  }
  FEWBIT_ASSIGN(Tensor out, make_tensor(node, DType::kFloat32, signed_sums.dims()));
  const int64_t n = p.b.rank() > 1 ? p.b.dims().back() : 1;
  const int64_t m = p.a.rank() > 1 ? p.a.dim(p.a.rank() - 2) : 1;
  const float *a_scale = p.a_scale.data<float>(), *b_scale = p.b_scale.data<float>();
  for (int64_t i = 0; i < out.elements(); ++i) {
    const float scale = p.alpha * a_scale[rows.at(0, i / n % m)] * b_scale[columns.at(0, i % n)];
    out.data<float>()[i] =
        static_cast<float>(std::as_const(signed_sums).data<int32_t>()[i]) * scale;
  }
  return out;
}

Result<Tensor> transposed_if(const Node& node, std::string_view key, const Tensor& matrix) {
  if (matrix.rank() != 2) {
    return node_error(node, "a matrix is needed, not {}", to_string(matrix.dims()));
  }
  if (node.get_int(key, 0) == 0) return matrix;
  return run_nested(nested_node(node, "Transpose"), {matrix});
}

// Y = quantize(alpha a_scale b_scale (A B + C)), or the real values if there is no y_scale.
Status qgemm(OpContext& ctx) {
  const Node& node = ctx.node();
  ScaledProduct p;
  FEWBIT_ASSIGN(p.a, transposed_if(node, "transA", ctx.in(0)));
  FEWBIT_ASSIGN(p.b, transposed_if(node, "transB", ctx.in(3)));
  FEWBIT_ASSIGN(p.a_scale, load<float>(ctx, 1));
  FEWBIT_ASSIGN(p.b_scale, load<float>(ctx, 4));
  p.a_zero = optional_input(ctx, 2);
  p.b_zero = optional_input(ctx, 5);
  p.alpha = node.get_float("alpha", 1.0F);
  FEWBIT_ASSIGN(Tensor real, real_product(node, p, optional_input(ctx, 6)));
  if (!ctx.has(7)) {
    ctx.set_out(0, std::move(real));
    return {};
  }
  FEWBIT_ASSIGN(const float scale, read_scale(ctx, 7));
  const DType type = ctx.has(8) ? ctx.in(8).type() : DType::kUint8;
  FEWBIT_ASSIGN(const int32_t zero, read_zero(ctx, 8, type));
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, type, real.dims()));
  return dispatch(node, type, Codes8{}, [&](auto tag) -> Status {
    using Q = typename decltype(tag)::type;
    for (int64_t i = 0; i < real.elements(); ++i) {
      y->data<Q>()[i] = to_code<Q>(std::as_const(real).data<float>()[i] / scale, zero);
    }
    return {};
  });
}

// Stores real values plus an optional bias input in the type asked for.
Status store_with_bias(OpContext& ctx, Tensor real, size_t bias, DType type) {
  if (ctx.has(bias)) {
    FEWBIT_ASSIGN(Tensor b, load<float>(ctx, bias));
    FEWBIT_ASSIGN(real, run_nested(nested_node(ctx.node(), "Add"), {real, std::move(b)}));
  }
  FEWBIT_ASSIGN(real, cast(real, type));
  ctx.set_out(0, std::move(real));
  return {};
}

Status matmul_integer_to_float(OpContext& ctx) {
  ScaledProduct p{ctx.in(0), optional_input(ctx, 4), ctx.in(1), optional_input(ctx, 5), {}, {}, 1};
  FEWBIT_ASSIGN(p.a_scale, load<float>(ctx, 2));
  FEWBIT_ASSIGN(p.b_scale, load<float>(ctx, 3));
  FEWBIT_ASSIGN(Tensor real, real_product(ctx.node(), p, {}));
  return store_with_bias(ctx, std::move(real), 6, ctx.in(2).type());
}

Status dynamic_quantize_matmul(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  if (a.type() != DType::kFloat32) return type_error(ctx.node(), a.type());
  const DynamicScale q = dynamic_scale(a.span<float>());
  FEWBIT_ASSIGN(Tensor codes, make_tensor(ctx.node(), DType::kUint8, a.dims()));
  for (int64_t i = 0; i < a.elements(); ++i) {
    codes.data<uint8_t>()[i] = to_code<uint8_t>(a.data<float>()[i] / q.scale, q.zero);
  }
  ScaledProduct p{std::move(codes),
                  Tensor::scalar(static_cast<uint8_t>(q.zero)),
                  ctx.in(1),
                  optional_input(ctx, 3),
                  Tensor::scalar(q.scale),
                  {},
                  1};
  FEWBIT_ASSIGN(p.b_scale, load<float>(ctx, 2));
  FEWBIT_ASSIGN(Tensor real, real_product(ctx.node(), p, {}));
  return store_with_bias(ctx, std::move(real), 4, DType::kFloat32);
}

// Weights of MatMulNBits: B [N, blocks, block_size * bits / 8], low bits first; scales [N, blocks];
// zero points packed [N, ceil(blocks * bits / 8)], or floats [N, blocks]; by default half the
// range.
struct BlockedWeights {
  int64_t k, n, bits, block, blocks;
  int64_t blob() const { return block * bits / 8; }
  int64_t zero_bytes() const { return (blocks * bits + 7) / 8; }

  int32_t code(const uint8_t* bytes, int64_t i) const {
    const int64_t per_byte = 8 / bits;
    const auto shift = static_cast<int>(i % per_byte * bits);
    return (bytes[i / per_byte] >> shift) & ((1 << bits) - 1);
  }
};

Result<BlockedWeights> read_blocked(const OpContext& ctx) {
  const Node& node = ctx.node();
  BlockedWeights w{node.get_int("K", 0), node.get_int("N", 0), node.get_int("bits", 4),
                   node.get_int("block_size", 0), 0};
  const bool power = w.block >= 16 && w.block <= (1 << 20) && (w.block & (w.block - 1)) == 0;
  constexpr int64_t kMost = int64_t{1} << 40;
  if (w.k < 1 || w.n < 1 || w.k > kMost || w.n > kMost || !power ||
      (w.bits != 2 && w.bits != 4 && w.bits != 8)) {
    return node_error(node, "K {}, N {}, bits {} and block_size {} make no sense", w.k, w.n, w.bits,
                      w.block);
  }
  w.blocks = (w.k + w.block - 1) / w.block;
  if (ctx.in(1).type() != DType::kUint8 || ctx.in(1).elements() / w.n != w.blocks * w.blob() ||
      ctx.in(1).elements() % w.n != 0) {
    return node_error(node, "B must be uint8 [{}, {}, {}], is {} {}", w.n, w.blocks, w.blob(),
                      name_of(ctx.in(1).type()), to_string(ctx.in(1).dims()));
  }
  if (ctx.in(2).elements() / w.n != w.blocks || ctx.in(2).elements() % w.n != 0) {
    return node_error(node, "scales must be [{}, {}], are {}", w.n, w.blocks,
                      to_string(ctx.in(2).dims()));
  }
  return w;
}

// Zero points as floats [N, blocks].
Result<std::vector<float>> read_block_zeros(const OpContext& ctx, const BlockedWeights& w) {
  const auto half = static_cast<float>(1 << (w.bits - 1));
  std::vector<float> zeros(static_cast<size_t>(w.n * w.blocks), half);
  if (!ctx.has(3)) return zeros;
  const Tensor& t = ctx.in(3);
  const bool packed = t.type() == DType::kUint8;
  if (t.elements() != w.n * (packed ? w.zero_bytes() : w.blocks)) {
    return node_error(ctx.node(), "zero_points of shape {} do not fit {} x {} blocks",
                      to_string(t.dims()), w.n, w.blocks);
  }
  if (!packed) return read_floats(ctx.node(), t, "zero_points");
  for (int64_t row = 0; row < w.n; ++row) {
    const uint8_t* bytes = t.data<uint8_t>() + row * w.zero_bytes();
    for (int64_t b = 0; b < w.blocks; ++b) {
      zeros[static_cast<size_t>(row * w.blocks + b)] = static_cast<float>(w.code(bytes, b));
    }
  }
  return zeros;
}

// The block that each of the K inputs belongs to: in order, or as g_idx says.
Result<std::vector<int64_t>> read_blocks(const OpContext& ctx, const BlockedWeights& w) {
  std::vector<int64_t> block(static_cast<size_t>(w.k));
  if (!ctx.has(4)) {
    for (int64_t i = 0; i < w.k; ++i) block[static_cast<size_t>(i)] = i / w.block;
    return block;
  }
  FEWBIT_ASSIGN(const auto given, read_ints(ctx.node(), ctx.in(4), "g_idx"));
  if (static_cast<int64_t>(given.size()) < w.k) {
    return node_error(ctx.node(), "g_idx has {} values for K = {}", given.size(), w.k);
  }
  std::copy_n(given.begin(), w.k, block.begin());
  for (int64_t b : block) {
    if (b < 0 || b >= w.blocks) {
      return node_error(ctx.node(), "g_idx {} is outside [0, {})", b, w.blocks);
    }
  }
  return block;
}

// W [K, N] = (code - zero) * scale, transposed on the way for the product.
Result<Tensor> decode_weights(const OpContext& ctx, const BlockedWeights& w) {
  FEWBIT_ASSIGN(const auto zeros, read_block_zeros(ctx, w));
  FEWBIT_ASSIGN(const auto scales, read_floats(ctx.node(), ctx.in(2), "scales"));
  FEWBIT_ASSIGN(const auto block, read_blocks(ctx, w));
  FEWBIT_ASSIGN(Tensor out, make_tensor(ctx.node(), DType::kFloat32, {w.k, w.n}));
  float* values = out.data<float>();
#pragma omp parallel for schedule(static) if (worth_threads(w.n, w.k))
  for (int64_t row = 0; row < w.n; ++row) {
    const uint8_t* bytes = ctx.in(1).data<uint8_t>() + row * w.blocks * w.blob();
    for (int64_t i = 0; i < w.k; ++i) {
      const auto at = static_cast<size_t>(row * w.blocks + block[static_cast<size_t>(i)]);
      values[i * w.n + row] = (static_cast<float>(w.code(bytes, i)) - zeros[at]) * scales[at];
    }
  }
  return out;
}

Status matmul_n_bits(OpContext& ctx) {
  FEWBIT_ASSIGN(const BlockedWeights w, read_blocked(ctx));
  const Tensor& a = ctx.in(0);
  if (a.rank() < 1 || a.dims().back() != w.k) {
    return node_error(ctx.node(), "A of shape {} does not end in K = {}", to_string(a.dims()), w.k);
  }
  FEWBIT_ASSIGN(const Tensor x, load<float>(ctx, 0));
  FEWBIT_ASSIGN(const Tensor weights, decode_weights(ctx, w));
  Dims dims = a.dims();
  dims.back() = w.n;
  FEWBIT_ASSIGN(Tensor y, make_tensor(ctx.node(), DType::kFloat32, dims));
  matrix_product(a.elements() / w.k, w.n, w.k, x.data<float>(), weights.data<float>(),
                 y.data<float>());
  return store_with_bias(ctx, std::move(y), 5, a.type());
}

constexpr OpRow kRows[] = {
    {"com.microsoft", "QGemm", 1, qgemm},
    {"com.microsoft", "MatMulIntegerToFloat", 1, matmul_integer_to_float},
    {"com.microsoft", "DynamicQuantizeMatMul", 1, dynamic_quantize_matmul},
    {"com.microsoft", "MatMulNBits", 1, matmul_n_bits},
};

}  // namespace

std::span<const OpRow> ms_matmul_table() {
  return kRows;
}

}  // namespace fewbit::ops
