#include <algorithm>

#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

namespace {

using namespace internal;

dnnl::algorithm algorithm_of(PoolKind kind) {
  switch (kind) {
    case PoolKind::kMax:
      return dnnl::algorithm::pooling_max;
    case PoolKind::kAverageExcludePad:
      return dnnl::algorithm::pooling_avg_exclude_padding;
    case PoolKind::kAverageIncludePad:
      break;
  }
  return dnnl::algorithm::pooling_avg_include_padding;
}

template <typename Forward, typename PrimitiveDesc>
DnnlOp* bind_pool(const PrimitiveDesc& pd, const DnnlPoolSpec& spec,
                  const std::vector<int64_t>& dst_dims) {
  auto op = std::make_unique<DnnlOp>();
  op->src_layout = op->dst_layout = spec.layout;
  op->dst_dims = dst_dims;
  op->src = dnnl::memory(pd.src_desc(), engine(), DNNL_MEMORY_NONE);
  op->dst = dnnl::memory(pd.dst_desc(), engine(), DNNL_MEMORY_NONE);
  op->bind(DNNL_ARG_SRC, op->src);
  op->bind(DNNL_ARG_DST, op->dst);
  finish(*op, pd, Forward(pd));
  return op.release();
}

DnnlOp* build(const DnnlPoolSpec& spec, const Window& w, const std::vector<int64_t>& dst_dims) {
  const auto src = activation_desc(spec.src_dims, spec.type, spec.layout);
  const auto dst = activation_desc(dst_dims, spec.type, spec.layout);
  const auto algorithm = algorithm_of(spec.kind);
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
#if DNNL_VERSION_MAJOR >= 3
  const dnnl::pooling_forward::primitive_desc pd(engine(), kInference, algorithm, src, dst,
                                                 w.strides, w.kernel, dnnl_dilations(w.dilations),
                                                 w.pads_begin, w.pads_end, attr);
  return bind_pool<dnnl::pooling_forward>(pd, spec, dst_dims);
#else
  // Dilated pools are a primitive of their own in 2.x, and a slow one.
  if (std::ranges::any_of(w.dilations, [](int64_t d) { return d != 1; })) {
    const dnnl::pooling_v2_forward::primitive_desc pd(
        {kInference, algorithm, src, dst, w.strides, w.kernel, dnnl_dilations(w.dilations),
         w.pads_begin, w.pads_end},
        attr, engine());
    return bind_pool<dnnl::pooling_v2_forward>(pd, spec, dst_dims);
  }
  const dnnl::pooling_forward::primitive_desc pd(
      {kInference, algorithm, src, dst, w.strides, w.kernel, w.pads_begin, w.pads_end}, attr,
      engine());
  return bind_pool<dnnl::pooling_forward>(pd, spec, dst_dims);
#endif
}

}  // namespace

Result<DnnlPool> DnnlPool::create(const DnnlPoolSpec& spec) {
  FEWBIT_ASSIGN(const Window w, complete_window(spec.src_dims, spec.kernel, spec.strides,
                                                spec.dilations, spec.pads_begin, spec.pads_end));
  std::vector<int64_t> dst_dims = {spec.src_dims[0], spec.src_dims[1]};
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    const int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    const int64_t padded = spec.src_dims[i + 2] + w.pads_begin[i] + w.pads_end[i];
    if (padded < extent)
      return bad_input("a pool window of {} does not fit {} padded rows", extent, padded);
    dst_dims.push_back((padded - extent) / w.strides[i] + 1);
  }
  FEWBIT_ASSIGN(DnnlOp * op, guarded("pool", [&] { return build(spec, w, dst_dims); }));
  return DnnlPool(Handle(op));
}

void DnnlPool::execute(const void* src, void* dst, void* scratch) {
  DnnlOp::point(op_->src, src);
  DnnlOp::point(op_->dst, dst);
  op_->run(scratch);
}

}  // namespace fewbit
