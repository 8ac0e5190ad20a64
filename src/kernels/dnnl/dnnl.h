#pragma once
// The one wrapper over oneDNN (2.6 .. 3.x). Each class is a primitive prepared once for one set of
// shapes and then executed many times on raw pointers; no oneDNN type leaves this folder.
//
// Rules shared by all of them
// - `create` refuses (kUnsupported) what oneDNN has no implementation for on this processor, e.g.
//   float16 before AVX512-FP16; it never converts or falls back behind the caller's back.
// - Weights and bias are copied at creation, in the order the primitive likes best.
// - A primitive is bound to the OpenMP thread count at its creation (omp_get_max_threads());
//   executing it later under another setting still uses the first one.
// - `execute` may not run concurrently on one object. Sources and destinations must not overlap
//   (a residual may be the destination itself).
// - Scratch: `scratch_bytes()` bytes, 64-byte aligned, given by the caller, so that all steps of a
//   plan share one; nullptr makes the object keep its own.

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/result.h"
#include "kernels/layout.h"
#include "kernels/pointwise/unary_op.h"

namespace fewbit {

/// oneDNN's version, e.g. "2.6.3", and the instruction set that it uses on this processor.
std::string dnnl_version();
std::string dnnl_isa();

/// True if the primitives compute in that type (float32, bfloat16, float16) on this processor
/// at a speed worth having: bfloat16 from AVX512-BF16, float16 from AVX512-FP16.
bool dnnl_has_fast(DType type);

/// What happens to a product before it is stored: dst = act(product + bias [+ residual]).
struct PostOps {
  bool add_residual = false;
  Unary activation = {};
};

/// True if the activation can be fused (the others: run kernels/pointwise afterwards).
bool dnnl_can_fuse(const Unary& activation);

namespace internal {
struct DnnlOp;
struct DnnlOpDeleter {
  void operator()(DnnlOp* op) const;
};
}  // namespace internal

/// What all prepared primitives have in common.
class DnnlPrimitive {
 public:
  size_t scratch_bytes() const;
  /// oneDNN's name of the chosen implementation, e.g. "brgconv:avx512_core".
  std::string implementation() const;
  const std::vector<int64_t>& dst_dims() const;
  /// The layouts in use (where the spec left them open, those that oneDNN preferred).
  Layout src_layout() const;
  Layout dst_layout() const;
  int threads() const;

 protected:
  using Handle = std::unique_ptr<internal::DnnlOp, internal::DnnlOpDeleter>;
  explicit DnnlPrimitive(Handle op) : op_(std::move(op)) {}
  Handle op_;
};

struct DnnlConvSpec {
  DType type = DType::kFloat32;        ///< of the source, and what the products are computed in
  std::optional<DType> dst_type = {};  ///< of destination and residual; nullopt: as the source
  std::vector<int64_t> src_dims;       ///< [N, C, spatial...], 1 to 3 spatial dimensions
  std::vector<int64_t>
      weight_dims;  ///< [O, C / groups, spatial...]; transposed: [C, O / groups, ...]
  int64_t groups = 1;
  std::vector<int64_t> strides;     ///< per spatial dimension; empty: all 1
  std::vector<int64_t> dilations;   ///< ONNX's: 1 is dense; empty: all 1
  std::vector<int64_t> pads_begin;  ///< empty: all 0
  std::vector<int64_t> pads_end;
  std::vector<int64_t> output_padding;  ///< transposed only: rows added at the end; empty: all 0
  /// nullopt: oneDNN chooses; ask src_layout() and dst_layout() afterwards.
  std::optional<Layout> src_layout = Layout::kChannelsLast;
  std::optional<Layout> dst_layout = Layout::kChannelsLast;
  PostOps post = {};
};

/// Convolution (ONNX Conv): groups, depthwise, strides, dilations, asymmetric pads, bias, PostOps.
class DnnlConv : public DnnlPrimitive {
 public:
  /// weights: weight_dims float32 row-major; bias: [O] float32 or nullptr.
  static Result<DnnlConv> create(const DnnlConvSpec& spec, const float* weights, const float* bias);
  /// residual: as dst in type, dims and layout; only with post.add_residual. If it is dst itself,
  /// the sum is formed in place; otherwise it is first copied there.
  void execute(const void* src, void* dst, const void* residual = nullptr, void* scratch = nullptr);

 private:
  using DnnlPrimitive::DnnlPrimitive;
};

/// Transposed convolution (ONNX ConvTranspose).
/// Output extent: (in - 1) * stride + (k - 1) * dilation + 1 - begin - end + output_padding.
class DnnlConvTranspose : public DnnlPrimitive {
 public:
  static Result<DnnlConvTranspose> create(const DnnlConvSpec& spec, const float* weights,
                                          const float* bias);
  void execute(const void* src, void* dst, const void* residual = nullptr, void* scratch = nullptr);

 private:
  using DnnlPrimitive::DnnlPrimitive;
};

/// One operand of a product: its dims [batch..., rows, cols] and, for a transposed or strided
/// view, the distance in elements between neighbours of each dimension (empty: row-major).
struct DnnlMatrix {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides_elems;
};

struct DnnlMatMulSpec {
  DType type = DType::kFloat32;        ///< of a and b
  std::optional<DType> dst_type = {};  ///< of dst and the residual; nullopt: as a
  DnnlMatrix a;                        ///< [batch..., M, K]
  DnnlMatrix b;                        ///< [batch..., K, N]; the batch dims broadcast as numpy's do
  PostOps post = {};
};

/// dst[..., M, N] = act(a b + bias [+ residual]), dst row-major.
class DnnlMatMul : public DnnlPrimitive {
 public:
  /// constant_b: the values of b (spec.type, laid out as spec.b says), then packed here and no
  /// longer needed; or nullptr, then execute takes b. bias: [N] float32, copied, or nullptr.
  static Result<DnnlMatMul> create(const DnnlMatMulSpec& spec, const void* constant_b,
                                   const float* bias);
  void execute(const void* a, const void* b, void* dst, const void* residual = nullptr,
               void* scratch = nullptr);

 private:
  using DnnlPrimitive::DnnlPrimitive;
};

enum class PoolKind : uint8_t { kMax, kAverageExcludePad, kAverageIncludePad };

struct DnnlPoolSpec {
  DType type = DType::kFloat32;
  PoolKind kind = PoolKind::kMax;
  std::vector<int64_t> src_dims;    ///< [N, C, spatial...], 1 to 3 spatial dimensions
  std::vector<int64_t> kernel;      ///< per spatial dimension
  std::vector<int64_t> strides;     ///< empty: all 1
  std::vector<int64_t> dilations;   ///< 1 is dense; empty: all 1
  std::vector<int64_t> pads_begin;  ///< empty: all 0; below the kernel's extent
  std::vector<int64_t> pads_end;
  Layout layout = Layout::kChannelsLast;  ///< of both
};

class DnnlPool : public DnnlPrimitive {
 public:
  static Result<DnnlPool> create(const DnnlPoolSpec& spec);
  void execute(const void* src, void* dst, void* scratch = nullptr);

 private:
  using DnnlPrimitive::DnnlPrimitive;
};

struct DnnlReorderSpec {
  std::vector<int64_t> dims;  ///< [N, C, spatial...], or any rank if both layouts are kPlain
  DType src_type = DType::kFloat32;
  DType dst_type = DType::kFloat32;
  Layout src_layout = Layout::kPlain;
  Layout dst_layout = Layout::kPlain;
};

/// A copy that changes layout, type (float32 <-> bfloat16, float16), or both.
class DnnlReorder : public DnnlPrimitive {
 public:
  static Result<DnnlReorder> create(const DnnlReorderSpec& spec);
  void execute(const void* src, void* dst, void* scratch = nullptr);

 private:
  using DnnlPrimitive::DnnlPrimitive;
};

}  // namespace fewbit
