// Convolution and transposed convolution. They share everything but the primitive, the order of the
// weights' two channel dimensions and the size of the output.
#include <algorithm>

#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

namespace {

using namespace internal;
using Dims = std::vector<int64_t>;

struct Geometry {
  Window window;
  Dims dst_dims;        // [N, O, spatial...]
  Dims weight_dims;     // oneDNN's: [g,] O/g, C/g, spatial...
  Dims weight_strides;  // of the caller's array, in that order of dimensions
};

Result<Geometry> conv_geometry(const DnnlConvSpec& spec, bool transposed) {
  if (spec.weight_dims.size() != spec.src_dims.size())
    return bad_input("weights have {} dimensions, the source {}", spec.weight_dims.size(),
                     spec.src_dims.size());
  Geometry g;
  Dims kernel(spec.weight_dims.begin() + 2, spec.weight_dims.end());
  FEWBIT_ASSIGN(g.window, complete_window(spec.src_dims, std::move(kernel), spec.strides,
                                          spec.dilations, spec.pads_begin, spec.pads_end));
  const Window& w = g.window;
  const int64_t groups = spec.groups, channels = spec.src_dims[1];
  const int64_t first = spec.weight_dims[0], second = spec.weight_dims[1];
  if (groups < 1 || first < 1 || second < 1 || first % groups != 0 ||
      channels != (transposed ? first : second * groups))
    return bad_input("weights of [{}, {}, ...] do not fit {} channels in {} groups", first, second,
                     channels, groups);
  const int64_t outputs = transposed ? second * groups : first;
  g.dst_dims = {spec.src_dims[0], outputs};
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    const int64_t in = spec.src_dims[i + 2], pads = w.pads_begin[i] + w.pads_end[i];
    const int64_t extent = (w.kernel[i] - 1) * w.dilations[i] + 1;
    int64_t out = 0;
    if (transposed) {
      const int64_t extra = spec.output_padding.empty() ? 0 : spec.output_padding[i];
      g.window.pads_end[i] -= extra;  // oneDNN has no output padding, but takes negative pads
      out = (in - 1) * w.strides[i] + extent - pads + extra;
    } else if (in + pads >= extent) {
      out = (in + pads - extent) / w.strides[i] + 1;
    }
    if (out < 1) return bad_input("the window does not fit: output extent {}", out);
    g.dst_dims.push_back(out);
  }
  // The caller's array is row-major [first, second, spatial...], `first` group-major.
  const Dims strides = row_major_strides(spec.weight_dims);
  if (groups > 1) {
    g.weight_dims.push_back(groups);
    g.weight_strides.push_back(first / groups * strides[0]);
  }
  g.weight_dims.push_back(outputs / groups);
  g.weight_dims.push_back(channels / groups);
  g.weight_strides.push_back(strides[transposed ? 1 : 0]);
  g.weight_strides.push_back(strides[transposed ? 0 : 1]);
  for (size_t i = 2; i < strides.size(); ++i) {
    g.weight_dims.push_back(spec.weight_dims[i]);
    g.weight_strides.push_back(strides[i]);
  }
  return g;
}

/// The primitive descriptor of either kind of convolution (Forward names the class).
template <typename Forward>
typename Forward::primitive_desc describe(dnnl::algorithm algorithm, const dnnl::memory::desc& src,
                                          const dnnl::memory::desc& weights,
                                          const dnnl::memory::desc& bias,
                                          const dnnl::memory::desc& dst, const Window& w,
                                          const dnnl::primitive_attr& attr) {
  const Dims dilations = dnnl_dilations(w.dilations);
#if DNNL_VERSION_MAJOR >= 3
  return typename Forward::primitive_desc(engine(), kInference, algorithm, src, weights, bias, dst,
                                          w.strides, dilations, w.pads_begin, w.pads_end, attr);
#else
  typename Forward::desc desc(kInference, algorithm, src, weights, bias, dst, w.strides, dilations,
                              w.pads_begin, w.pads_end);
  return typename Forward::primitive_desc(desc, attr, engine());
#endif
}

template <typename Forward>
DnnlOp* build(const DnnlConvSpec& spec, const Geometry& g, const dnnl::primitive_attr& attr,
              dnnl::algorithm algorithm, const float* weights, const float* bias) {
  using dnnl::memory;
  auto op = std::make_unique<DnnlOp>();
  const DType dst_type = spec.dst_type.value_or(spec.type);
  const memory::desc weights_any(g.weight_dims, data_type_of(spec.type), memory::format_tag::any);
  const memory::desc bias_desc =
      bias ? memory::desc({g.dst_dims[1]}, memory::data_type::f32, memory::format_tag::a)
           : memory::desc();
  auto pd = describe<Forward>(
      algorithm, activation_desc(spec.src_dims, spec.type, spec.src_layout), weights_any, bias_desc,
      activation_desc(g.dst_dims, dst_type, spec.dst_layout), g.window, attr);
  op->src_layout = required_layout(pd.src_desc(), spec.src_dims, spec.type);
  op->dst_layout = required_layout(pd.dst_desc(), g.dst_dims, dst_type);
  op->dst_dims = g.dst_dims;
  op->add_residual = spec.post.add_residual;
  op->src = memory(pd.src_desc(), engine(), DNNL_MEMORY_NONE);
  op->dst = memory(pd.dst_desc(), engine(), DNNL_MEMORY_NONE);
  op->weights = reordered(weights, strided_desc(g.weight_dims, g.weight_strides, DType::kFloat32),
                          pd.weights_desc());
  op->bind(DNNL_ARG_SRC, op->src);
  op->bind(DNNL_ARG_WEIGHTS, op->weights);
  op->bind(DNNL_ARG_DST, op->dst);
  if (bias) {
    op->bias = memory(bias_desc, engine());
    std::copy_n(bias, g.dst_dims[1], static_cast<float*>(op->bias.get_data_handle()));
    op->bind(DNNL_ARG_BIAS, op->bias);
  }
  finish(*op, pd, Forward(pd));
  return op.release();
}

void execute_conv(DnnlOp& op, const void* src, void* dst, const void* residual, void* scratch) {
  op.place_residual(residual, dst);
  DnnlOp::point(op.src, src);
  DnnlOp::point(op.dst, dst);
  op.run(scratch);
}

}  // namespace

Result<DnnlConv> DnnlConv::create(const DnnlConvSpec& spec, const float* weights,
                                  const float* bias) {
  FEWBIT_ASSIGN(const Geometry g, conv_geometry(spec, /*transposed=*/false));
  FEWBIT_ASSIGN(const auto attr, make_attr(spec.post));
  FEWBIT_ASSIGN(DnnlOp * op, guarded("convolution", [&] {
                  return build<dnnl::convolution_forward>(
                      spec, g, attr, dnnl::algorithm::convolution_direct, weights, bias);
                }));
  return DnnlConv(Handle(op));
}

void DnnlConv::execute(const void* src, void* dst, const void* residual, void* scratch) {
  execute_conv(*op_, src, dst, residual, scratch);
}

Result<DnnlConvTranspose> DnnlConvTranspose::create(const DnnlConvSpec& spec, const float* weights,
                                                    const float* bias) {
  if (!spec.output_padding.empty() && spec.output_padding.size() + 2 != spec.src_dims.size())
    return bad_input("output_padding has {} values, expected {}", spec.output_padding.size(),
                     spec.src_dims.size() - 2);
  FEWBIT_ASSIGN(const Geometry g, conv_geometry(spec, /*transposed=*/true));
  FEWBIT_ASSIGN(const auto attr, make_attr(spec.post));
  FEWBIT_ASSIGN(DnnlOp * op, guarded("transposed convolution", [&] {
                  return build<dnnl::deconvolution_forward>(
                      spec, g, attr, dnnl::algorithm::deconvolution_direct, weights, bias);
                }));
  return DnnlConvTranspose(Handle(op));
}

void DnnlConvTranspose::execute(const void* src, void* dst, const void* residual, void* scratch) {
  execute_conv(*op_, src, dst, residual, scratch);
}

}  // namespace fewbit
