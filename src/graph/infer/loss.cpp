// Losses and optimiser steps.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

// scores [N, C, d...], labels [N, d...]: one number, or one for each label.
Status loss(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_TRY(c.check_elem(1, kIndices));
  FEWBIT_TRY(c.check_rank(2, 1));
  std::string reduction = c.node().get_string("reduction", "mean");
  std::optional<Shape> out = Shape{};
  if (reduction == "none") {
    out = shape_of(c, 1);
    if (!out && c.has_shape(0)) {
      out = *c.shape(0);
      out->erase(out->begin() + 1);
    }
  }
  c.set(0, c.elem(0), std::move(out));
  c.set(1, c.elem(0), shape_of(c, 0));
  return {};
}

// Rate and step count, then groups of n tensors each: parameters, gradients, states. The outputs
// are the new parameters and states, like the old ones.
Status optimizer(InferContext& c, size_t groups) {
  size_t n = (c.input_count() - 2) / groups;
  if (c.input_count() != 2 + groups * n || c.output_count() != (groups - 1) * n) {
    return bad_input(
        "the node has {} inputs and {} outputs, expected 2 + {} and {} for each tensor",
        c.input_count(), c.output_count(), groups, groups - 1);
  }
  for (size_t i = 0; i < c.output_count(); ++i) {
    size_t group = i / n == 0 ? 0 : i / n + 1;
    c.set_type(i, c.type(2 + group * n + i % n));
  }
  return {};
}

Status optimizer_one_state(InferContext& c) {
  return optimizer(c, 3);
}
Status optimizer_two_states(InferContext& c) {
  return optimizer(c, 4);
}

constexpr SchemaRow kRows[] = {
    {"", "NegativeLogLikelihoodLoss", 12, 2, 3, 1, 1, loss},
    {"", "SoftmaxCrossEntropyLoss", 12, 2, 3, 1, 2, loss},
    {"ai.onnx.preview.training", "Adagrad", 1, 3, -1, 1, -1, optimizer_one_state},
    {"ai.onnx.preview.training", "Adam", 1, 3, -1, 1, -1, optimizer_two_states},
    {"ai.onnx.preview.training", "Momentum", 1, 3, -1, 1, -1, optimizer_one_state},
};

}  // namespace

std::span<const SchemaRow> loss_rows() {
  return kRows;
}

}  // namespace fewbit::infer
