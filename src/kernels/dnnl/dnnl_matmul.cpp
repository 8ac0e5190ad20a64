// Matrix products. Batch dimensions are merged as far as strides allow before oneDNN sees them: a
// product of [B, S, K] with a plain [K, N] becomes one [B S, K] x [K, N].
#include <algorithm>

#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

namespace {

using namespace internal;
using Dims = std::vector<int64_t>;

/// One loop of the batch: its extent, and the distance between neighbours in a and b (0:
/// broadcast).
struct BatchLoop {
  int64_t extent, a_stride, b_stride;
};

struct Problem {
  std::vector<BatchLoop> batch;
  int64_t m, k, n;
  int64_t a_row, a_col, b_row, b_col;  // strides
  Dims dst_dims;                       // as the caller sees it
};

Result<Dims> full_strides(const DnnlMatrix& matrix, const char* name) {
  if (matrix.dims.size() < 2) return bad_input("matrix {} has rank {}", name, matrix.dims.size());
  for (int64_t d : matrix.dims)
    if (d < 1) return unsupported("matrix {} has a dimension of {}", name, d);
  if (matrix.strides_elems.empty()) return row_major_strides(matrix.dims);
  if (matrix.strides_elems.size() != matrix.dims.size())
    return bad_input("matrix {} has {} dimensions but {} strides", name, matrix.dims.size(),
                     matrix.strides_elems.size());
  return matrix.strides_elems;
}

/// Merges the batch loop into its outer neighbour where both operands step evenly.
void push_merged(std::vector<BatchLoop>& loops, const BatchLoop& inner) {
  if (inner.extent == 1) return;
  if (!loops.empty()) {
    BatchLoop& outer = loops.back();
    if (outer.a_stride == inner.extent * inner.a_stride &&
        outer.b_stride == inner.extent * inner.b_stride) {
      outer = {outer.extent * inner.extent, inner.a_stride, inner.b_stride};
      return;
    }
  }
  loops.push_back(inner);
}

Result<Problem> plan(const DnnlMatMulSpec& spec) {
  FEWBIT_ASSIGN(const Dims a_strides, full_strides(spec.a, "a"));
  FEWBIT_ASSIGN(const Dims b_strides, full_strides(spec.b, "b"));
  const Dims& a = spec.a.dims;
  const Dims& b = spec.b.dims;
  const size_t ra = a.size(), rb = b.size(), rank = std::max(ra, rb);
  Problem p{.batch = {},
            .m = a[ra - 2],
            .k = a[ra - 1],
            .n = b[rb - 1],
            .a_row = a_strides[ra - 2],
            .a_col = a_strides[ra - 1],
            .b_row = b_strides[rb - 2],
            .b_col = b_strides[rb - 1],
            .dst_dims = {}};
  if (b[rb - 2] != p.k) return bad_input("inner dimensions {} and {} differ", p.k, b[rb - 2]);
  for (size_t i = 0; i + 2 < rank; ++i) {
    const bool has_a = i + ra >= rank, has_b = i + rb >= rank;
    const int64_t da = has_a ? a[i + ra - rank] : 1, db = has_b ? b[i + rb - rank] : 1;
    if (da != db && da != 1 && db != 1)
      return bad_input("batch dimensions {} and {} do not broadcast", da, db);
    const int64_t extent = std::max(da, db);
    p.dst_dims.push_back(extent);
    push_merged(p.batch, {extent, da == 1 ? 0 : a_strides[i + ra - rank],
                          db == 1 ? 0 : b_strides[i + rb - rank]});
  }
  p.dst_dims.push_back(p.m);
  p.dst_dims.push_back(p.n);
  // One b for a whole evenly spaced batch of a: more rows of one product.
  if (p.batch.size() == 1 && p.batch[0].b_stride == 0 &&
      (p.m == 1 || p.batch[0].a_stride == p.m * p.a_row)) {
    if (p.m == 1) p.a_row = p.batch[0].a_stride;
    p.m *= p.batch[0].extent;
    p.batch.clear();
  }
  return p;
}

/// Descriptor of one operand: [batch..., rows, cols], broadcast batch loops as extent 1.
dnnl::memory::desc operand_desc(const Problem& p, bool is_a, DType type) {
  Dims dims, strides;
  int64_t span =
      is_a ? std::max(p.m * p.a_row, p.k * p.a_col) : std::max(p.k * p.b_row, p.n * p.b_col);
  for (const BatchLoop& loop : p.batch) {
    const int64_t stride = is_a ? loop.a_stride : loop.b_stride;
    dims.push_back(stride == 0 ? 1 : loop.extent);
    strides.push_back(stride == 0 ? span : stride);
  }
  dims.insert(dims.end(), {is_a ? p.m : p.k, is_a ? p.k : p.n});
  strides.insert(strides.end(), {is_a ? p.a_row : p.b_row, is_a ? p.a_col : p.b_col});
  // A dimension of 1 may carry any stride; oneDNN looks for the one that is 1.
  const size_t r = dims.size();
  if (dims[r - 1] == 1) strides[r - 1] = 1;
  if (dims[r - 2] == 1) strides[r - 2] = strides[r - 1] == 1 ? dims[r - 1] : 1;
  return strided_desc(dims, strides, type);
}

DnnlOp* build(const DnnlMatMulSpec& spec, const Problem& p, const dnnl::primitive_attr& attr,
              const void* constant_b, const float* bias) {
  using dnnl::memory;
  auto op = std::make_unique<DnnlOp>();
  const size_t rank = p.batch.size() + 2;
  Dims dst_dims;
  for (const BatchLoop& loop : p.batch) dst_dims.push_back(loop.extent);
  dst_dims.insert(dst_dims.end(), {p.m, p.n});
  const memory::desc a_desc = operand_desc(p, true, spec.type);
  const memory::desc b_given = operand_desc(p, false, spec.type);
  Dims b_dims;
  for (const BatchLoop& loop : p.batch) b_dims.push_back(loop.b_stride == 0 ? 1 : loop.extent);
  b_dims.insert(b_dims.end(), {p.k, p.n});
  const memory::desc b_desc =
      constant_b ? memory::desc(b_dims, data_type_of(spec.type), memory::format_tag::any) : b_given;
  const memory::desc dst_desc =
      strided_desc(dst_dims, row_major_strides(dst_dims), spec.dst_type.value_or(spec.type));
  Dims bias_dims(rank, 1);
  bias_dims.back() = p.n;
  const memory::desc bias_desc =
      bias ? strided_desc(bias_dims, row_major_strides(bias_dims), DType::kFloat32)
           : memory::desc();
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::matmul::primitive_desc pd(engine(), a_desc, b_desc, bias_desc, dst_desc, attr);
#else
  const dnnl::matmul::primitive_desc pd({a_desc, b_desc, bias_desc, dst_desc}, attr, engine());
#endif
  op->dst_dims = p.dst_dims;
  op->add_residual = spec.post.add_residual;
  op->src = memory(pd.src_desc(), engine(), DNNL_MEMORY_NONE);
  op->dst = memory(pd.dst_desc(), engine(), DNNL_MEMORY_NONE);
  op->weights = constant_b ? reordered(constant_b, b_given, pd.weights_desc())
                           : memory(pd.weights_desc(), engine(), DNNL_MEMORY_NONE);
  op->bind(DNNL_ARG_SRC, op->src);
  op->bind(DNNL_ARG_WEIGHTS, op->weights);
  op->bind(DNNL_ARG_DST, op->dst);
  if (bias) {
    op->bias = memory(bias_desc, engine());
    std::copy_n(bias, p.n, static_cast<float*>(op->bias.get_data_handle()));
    op->bind(DNNL_ARG_BIAS, op->bias);
  }
  finish(*op, pd, dnnl::matmul(pd));
  op->constant_weights = constant_b != nullptr;
  return op.release();
}

}  // namespace

Result<DnnlMatMul> DnnlMatMul::create(const DnnlMatMulSpec& spec, const void* constant_b,
                                      const float* bias) {
  FEWBIT_ASSIGN(const Problem p, plan(spec));
  FEWBIT_ASSIGN(const auto attr, make_attr(spec.post));
  FEWBIT_ASSIGN(DnnlOp * op,
                guarded("matrix product", [&] { return build(spec, p, attr, constant_b, bias); }));
  return DnnlMatMul(Handle(op));
}

void DnnlMatMul::execute(const void* a, const void* b, void* dst, const void* residual,
                         void* scratch) {
  op_->place_residual(residual, dst);
  DnnlOp::point(op_->src, a);
  FEWBIT_CHECK((b == nullptr) == op_->constant_weights, op_->implementation);
  if (b != nullptr) DnnlOp::point(op_->weights, b);
  DnnlOp::point(op_->dst, dst);
  op_->run(scratch);
}

}  // namespace fewbit
