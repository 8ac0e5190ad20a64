#pragma once
// 8-bit matrix products for MatMul and Gemm.
//
//   C[m, n] = sum_k (A[m, k] - a_zero) (B[k, n] - b_zero[n]) + bias[n],  then int8_output.h
//
//   A  uint8 or int8, rows of `k` consecutive elements, a_stride elements apart
//   B  int8 or uint8, [k, n] or, transposed, [n, k]
//   C  uint8, int8, float32 or int32, rows c_stride elements apart
//
// Per-row activation scales and zero points (per-token dynamic quantization) go with float output:
//   C = float(acc) * (row_scale[m] * scale[n]) + float_bias[n]
//
// Packing of B, done once for constants and per call for dynamic operands. Sixteen columns form a
// panel; four consecutive k form the 32-bit group that VPDPBUSD and the AMX tiles consume:
//
//   panel p (columns 16 p .. 16 p + 15), one 64-byte line per four k:
//     k = 0..3   | c0k0 c0k1 c0k2 c0k3 | c1k0 c1k1 c1k2 c1k3 | ... | c15k0 .. c15k3 |
//     k = 4..7   | c0k4 ...            |                     | ... |                |
//     ...          K rounded up to 4 (AMX: 64) with zeros, N rounded up to 16 with zeros
//
// uint8 weights are stored shifted by 128 (zero point shifted too). int8 activations are shifted by
// 128 where the instruction multiplies unsigned by signed. Both shifts and a_zero fold into one
// number per column: acc = raw - a_zero' * sum_k(B' - b_zero') - b_zero' * sum_k A'.
//
// The sum must fit in int32 (k <= 65793 always does); arithmetic in between is modulo 2^32. No
// buffer is read or written past its last element.

#include <memory>
#include <optional>
#include <span>

#include "kernels/int8_gemm/int8_output.h"
#include "kernels/isa.h"

namespace fewbit {

struct Int8GemmSpec {
  int64_t k = 0;
  int64_t n = 0;
  DType a_type = DType::kUint8;
  int32_t a_zero = 0;
  DType b_type = DType::kInt8;
  bool b_transposed = false;    ///< B is stored [n, k]
  std::vector<int32_t> b_zero;  ///< empty (all 0), one, or one per column
  /// Keeps B in as few bits as its values need and unpacks it when it is used (code_panels.h). The
  /// results are the same. For constants.
  bool few_bits = false;
  Int8OutputSpec output;
};

Status validate(const Int8GemmSpec& spec);

/// One product C = A B. Strides are in elements.
struct Int8GemmCall {
  int64_t m = 0;
  const void* a = nullptr;
  int64_t a_stride = 0;  ///< 0: k
  void* c = nullptr;
  int64_t c_stride = 0;            ///< 0: n
  const void* residual = nullptr;  ///< with output.residual: laid out as C
  int64_t residual_stride = 0;     ///< 0: n
  /// Per-row quantization of A: both null, or row_scale (float32 output only), or both.
  /// row_zero replaces a_zero.
  const float* row_scale = nullptr;
  const int32_t* row_zero = nullptr;
};

/// A matrix product whose B is constant and packed. Immutable: any number of threads may run it.
class Int8Gemm {
 public:
  /// Packs B for `isa`, or for selected_isa(). `bias` [n] int32 may be empty.
  static Result<Int8Gemm> prepare(const Int8GemmSpec& spec, const void* b,
                                  std::span<const int32_t> bias,
                                  std::optional<Isa> isa = std::nullopt);

  void run(const Int8GemmCall& call, int threads) const;

  int64_t packed_bytes() const;
  int weight_bits() const;  ///< that an element of B takes
  Isa isa() const;

  struct Impl;

 private:
  explicit Int8Gemm(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  std::shared_ptr<const Impl> impl_;
};

/// Offsets in elements of one matrix of a batch; broadcast operands repeat theirs.
struct Int8GemmBatch {
  int64_t a = 0;
  int64_t b = 0;
  int64_t c = 0;
};

/// Products of two activations (attention): B is packed on the fly, one matrix of `batches` after
/// the other. `b_stride` is the distance in elements between B's rows as stored (0: dense). `call`
/// holds the shared m, strides and base pointers; row_scale and row_zero are shared by all.
Status run_int8_gemm_dynamic(const Int8GemmSpec& spec, const Int8GemmCall& call, const void* b,
                             int64_t b_stride, std::span<const Int8GemmBatch> batches, int threads,
                             std::optional<Isa> isa = std::nullopt);

}  // namespace fewbit
