// BatchNormalization at inference is an affine map per channel,
//   y = (x - mean) * scale / sqrt(var + eps) + bias,
// and a convolution before it absorbs it: w'[o] = w[o] * a[o], b'[o] = b[o] * a[o] + c[o].
// (Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
// Integer-Arithmetic-Only Inference", eq. 14.) Computed in double, stored in float.

#include <cmath>

#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

struct Affine {
  std::vector<double> scale, shift;
};

const Tensor* float_constant(const Graph& graph, ValueId id) {
  const Tensor* t = graph.constant(id);
  return t != nullptr && t->type() == DType::kFloat32 ? t : nullptr;
}

// The affine map of a BatchNormalization node, if all its parameters are constants.
std::optional<Affine> affine_of(const Graph& graph, const Node& bn) {
  if (!bn.is("BatchNormalization") || bn.inputs.size() < 5) return std::nullopt;
  if (bn.get_int("training_mode", 0) != 0) return std::nullopt;
  for (size_t i = 1; i < bn.outputs.size(); ++i) {
    if (bn.outputs[i] != kNone) return std::nullopt;
  }
  const Tensor* parts[4];
  for (size_t i = 0; i < 4; ++i) {
    parts[i] = float_constant(graph, bn.input(i + 1));
    if (parts[i] == nullptr || parts[i]->elements() != parts[0]->elements()) return std::nullopt;
  }
  double epsilon = bn.get_float("epsilon", 1e-5F);
  Affine affine;
  for (int64_t c = 0; c < parts[0]->elements(); ++c) {
    double variance = parts[3]->data<float>()[c];
    double a = parts[0]->data<float>()[c] / std::sqrt(variance + epsilon);
    affine.scale.push_back(a);
    affine.shift.push_back(parts[1]->data<float>()[c] - parts[2]->data<float>()[c] * a);
  }
  return affine;
}

// Where output channel o of the producer's weight lies: [outer][channels][inner] with o in the
// middle.
struct ChannelAxis {
  int64_t outer, channels, inner;
  int64_t group_count =
      1;  // ConvTranspose: the channel index restarts in each group of the outer axis
};

std::optional<ChannelAxis> output_channels(const Node& node, const Tensor& w) {
  if (node.is("Conv") && w.rank() >= 3) {
    return ChannelAxis{1, w.dim(0), w.elements() / std::max<int64_t>(w.dim(0), 1)};
  }
  if (node.is("ConvTranspose") && w.rank() >= 3) {
    int64_t inner = 1;
    for (int64_t i = 2; i < w.rank(); ++i) inner *= w.dim(i);
    return ChannelAxis{w.dim(0), w.dim(1), inner, node.get_int("group", 1)};
  }
  if (node.is("Gemm") && w.rank() == 2 && node.get_float("alpha", 1) == 1 &&
      node.get_float("beta", 1) == 1) {
    if (node.get_int("transB", 0) != 0) return ChannelAxis{1, w.dim(0), w.dim(1)};
    return ChannelAxis{w.dim(0), w.dim(1), 1};
  }
  return std::nullopt;
}

Tensor scaled_weight(const Tensor& w, const ChannelAxis& axis, const Affine& affine) {
  Tensor out = w.clone();
  int64_t outer_per_group = axis.outer / axis.group_count;
  auto* data = out.data<float>();
  for (int64_t i = 0; i < axis.outer; ++i) {
    for (int64_t c = 0; c < axis.channels; ++c) {
      int64_t channel = (i / outer_per_group) * axis.channels + c;
      if (axis.group_count == 1) channel = c;
      double a = affine.scale[static_cast<size_t>(channel)];
      float* row = data + (i * axis.channels + c) * axis.inner;
      for (int64_t k = 0; k < axis.inner; ++k) row[k] = static_cast<float>(row[k] * a);
    }
  }
  return out;
}

bool fold_one(Graph& graph, NodeId bn_id, const UseMap& uses, const RewriteContext& context) {
  const Node& bn = graph.node(bn_id);
  std::optional<Affine> affine = affine_of(graph, bn);
  if (!affine || bn.input(0) == kNone) return false;
  ValueId middle = bn.input(0);
  NodeId producer = graph.value(middle).producer;
  if (producer == kNone || uses.single_consumer(middle) != bn_id) return false;
  if (context.keeps(graph, middle)) return false;
  Node& conv = graph.node(producer);
  const Tensor* w = float_constant(graph, conv.input(1));
  const Tensor* b = float_constant(graph, conv.input(2));
  if (w == nullptr || (conv.input(2) != kNone && b == nullptr)) return false;
  std::optional<ChannelAxis> axis = output_channels(conv, *w);
  auto channels = static_cast<int64_t>(affine->scale.size());
  if (!axis || axis->channels * axis->group_count != channels) return false;
  // One for each channel or one for all; a Gemm's may also be one for each row of its input.
  if (b != nullptr && b->elements() != 1 &&
      (b->elements() != channels || b->dims().back() != channels)) {
    return false;
  }

  Tensor bias = Tensor::uninitialized(DType::kFloat32, {channels});
  for (int64_t c = 0; c < channels; ++c) {
    double old = b == nullptr ? 0.0 : b->data<float>()[b->elements() == 1 ? 0 : c];
    auto i = static_cast<size_t>(c);
    bias.data<float>()[c] = static_cast<float>(old * affine->scale[i] + affine->shift[i]);
  }
  Tensor weight = scaled_weight(*w, *axis, *affine);
  std::string weight_name = graph.unique_name(graph.value(conv.input(1)).name + "_folded");
  ValueId new_weight = graph.add_constant(weight_name, std::move(weight));
  std::string bias_stem = conv.input(2) == kNone ? graph.value(conv.input(1)).name + "_bias"
                                                 : graph.value(conv.input(2)).name;
  ValueId new_bias = graph.add_constant(graph.unique_name(bias_stem + "_folded"), std::move(bias));
  graph.set_input(producer, 1, new_weight);
  graph.set_input(producer, 2, new_bias);

  // The convolution now produces what the batch-norm produced, under the batch-norm's name.
  ValueId result = bn.output(0);
  graph.remove_node(bn_id);
  graph.set_output(producer, 0, result);
  return true;
}

}  // namespace

Result<int> fold_batch_norm(Graph& graph, const RewriteContext& context) {
  int folded = 0;
  UseMap uses(graph);
  const std::vector<NodeId> order = graph.order();
  for (NodeId id : order) {
    if (graph.is_live(id) && graph.node(id).is("BatchNormalization")) {
      folded += fold_one(graph, id, uses, context) ? 1 : 0;
    }
  }
  return folded;
}

}  // namespace fewbit
