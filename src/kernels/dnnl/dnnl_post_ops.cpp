// Which activations oneDNN can fuse, and how each is spelled: one table.
#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

namespace {

using dnnl::algorithm;

/// Up to two of oneDNN's elementwise steps that together are the function.
struct Spelling {
  UnaryOp op;
  void (*append)(dnnl::post_ops& ops, float alpha, float beta);
};

void append(dnnl::post_ops& ops, algorithm alg, float alpha, float beta) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(alg, alpha, beta);
#else
  ops.append_eltwise(1.0f, alg, alpha, beta);
#endif
}

constexpr Spelling kSpellings[] = {
    {UnaryOp::kIdentity, [](dnnl::post_ops&, float, float) {}},
    {UnaryOp::kRelu,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_relu, 0, 0); }},
    {UnaryOp::kLeakyRelu,
     [](dnnl::post_ops& o, float a, float) { append(o, algorithm::eltwise_relu, a, 0); }},
    {UnaryOp::kClip,
     [](dnnl::post_ops& o, float a, float b) { append(o, algorithm::eltwise_clip, a, b); }},
    {UnaryOp::kElu,
     [](dnnl::post_ops& o, float a, float) { append(o, algorithm::eltwise_elu, a, 0); }},
    {UnaryOp::kSigmoid,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_logistic, 0, 0); }},
    {UnaryOp::kTanh,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_tanh, 0, 0); }},
    {UnaryOp::kHardSigmoid,
     [](dnnl::post_ops& o, float a, float b) {
       append(o, algorithm::eltwise_linear, a, b);
       append(o, algorithm::eltwise_clip, 0.0f, 1.0f);
     }},
    {UnaryOp::kHardSwish,  // 2.x has the constants built in and ignores the parameters
     [](dnnl::post_ops& o, float, float) {
       append(o, algorithm::eltwise_hardswish, 1.0f / 6.0f, 0.5f);
     }},
    {UnaryOp::kSilu,
     [](dnnl::post_ops& o, float a, float) { append(o, algorithm::eltwise_swish, a, 0); }},
    {UnaryOp::kMish,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_mish, 0, 0); }},
    {UnaryOp::kGeluErf,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_gelu_erf, 0, 0); }},
    {UnaryOp::kGeluTanh,
     [](dnnl::post_ops& o, float, float) { append(o, algorithm::eltwise_gelu_tanh, 0, 0); }},
};

const Spelling* find(UnaryOp op) {
  for (const Spelling& s : kSpellings)
    if (s.op == op) return &s;
  return nullptr;
}

}  // namespace

bool dnnl_can_fuse(const Unary& activation) {
  return find(activation.op) != nullptr;
}

namespace internal {

Result<dnnl::primitive_attr> make_attr(const PostOps& post) {
  const Spelling* spelling = find(post.activation.op);
  if (spelling == nullptr)
    return unsupported("activation {} cannot be fused into a oneDNN primitive",
                       static_cast<int>(post.activation.op));
  return guarded("attribute", [&] {
    dnnl::post_ops ops;
    if (post.add_residual) ops.append_sum(1.0f);
    spelling->append(ops, post.activation.alpha, post.activation.beta);
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    attr.set_post_ops(ops);
    return attr;
  });
}

}  // namespace internal
}  // namespace fewbit
