#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

namespace {

using namespace internal;

DnnlOp* build(const DnnlReorderSpec& spec) {
  auto op = std::make_unique<DnnlOp>();
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const auto src = activation_desc(spec.dims, spec.src_type, spec.src_layout);
  const auto dst = activation_desc(spec.dims, spec.dst_type, spec.dst_layout);
  const dnnl::reorder::primitive_desc pd(engine(), src, engine(), dst, attr);
  op->src_layout = spec.src_layout;
  op->dst_layout = spec.dst_layout;
  op->dst_dims = spec.dims;
  op->src = dnnl::memory(src, engine(), DNNL_MEMORY_NONE);
  op->dst = dnnl::memory(dst, engine(), DNNL_MEMORY_NONE);
  op->bind(DNNL_ARG_FROM, op->src);
  op->bind(DNNL_ARG_TO, op->dst);
  finish(*op, pd, dnnl::reorder(pd));
  return op.release();
}

}  // namespace

Result<DnnlReorder> DnnlReorder::create(const DnnlReorderSpec& spec) {
  const bool plain = spec.src_layout == Layout::kPlain && spec.dst_layout == Layout::kPlain;
  if (!plain && (spec.dims.size() < 3 || spec.dims.size() > 5))
    return unsupported("a change of layout needs 3 to 5 dimensions, not {}", spec.dims.size());
  for (int64_t d : spec.dims)
    if (d < 1) return unsupported("a dimension of {}, expected at least 1", d);
  FEWBIT_ASSIGN(DnnlOp * op, guarded("reorder", [&] { return build(spec); }));
  return DnnlReorder(Handle(op));
}

void DnnlReorder::execute(const void* src, void* dst, void* scratch) {
  DnnlOp::point(op_->src, src);
  DnnlOp::point(op_->dst, dst);
  op_->run(scratch);
}

}  // namespace fewbit
