// Normalisations, Dropout, and operators that adapt a whole layer's activations.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

// scale, B, mean and variance each have one element per channel.
Status check_channel_vectors(const InferContext& c, size_t first, size_t last) {
  const Shape* x = c.shape(0);
  for (size_t i = first; i <= last; ++i) {
    FEWBIT_TRY(c.check_rank(i, 1));
    if (x != nullptr && x->size() > 1) FEWBIT_TRY(c.check_dim(i, 0, (*x)[1]));
  }
  return {};
}

Status batch_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  // With spatial = 0 (before version 9) there is one parameter for every element.
  if (c.node().get_int("spatial", 1) != 0) FEWBIT_TRY(check_channel_vectors(c, 1, 4));
  c.set_type(0, c.type(0));
  // Running mean and variance; before version 14 also the saved ones.
  for (size_t i = 1; i < c.output_count(); ++i) {
    size_t like = i % 2 == 1 ? 3 : 4;
    c.set(i, c.elem(like), shape_of(c, like));
  }
  return {};
}

Status instance_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_TRY(check_channel_vectors(c, 1, 2));
  return same_as_float_input(c);
}

// Version 18 has one scale per group, version 21 one per channel.
Status group_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_ASSIGN(int64_t groups, c.required_int("num_groups"));
  const Shape* x = c.shape(0);
  bool divides = x == nullptr || !(*x)[1].known() || (groups > 0 && (*x)[1].value % groups == 0);
  if (!divides) return c.fail(0, "dimension 1 to be a multiple of num_groups = {}", groups);
  if (c.opset() >= 21) FEWBIT_TRY(check_channel_vectors(c, 1, 2));
  return same_as_float_input(c);
}

// Mean and InvStdDev keep the normalised axes with size 1.
Status layer_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  c.set(0, c.elem(0), shape_of(c, 0));
  FEWBIT_ASSIGN(DType stash, c.dtype_attribute("stash_type", DType::kFloat32));
  std::optional<Shape> reduced = shape_of(c, 0);
  if (reduced) {
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", -1), c.rank(0)));
    FEWBIT_TRY(check_broadcasts_to(c, 1, *reduced));
    FEWBIT_TRY(check_broadcasts_to(c, 2, *reduced));
    for (auto i = static_cast<size_t>(axis); i < reduced->size(); ++i) (*reduced)[i] = Dim::of(1);
  }
  c.set(1, stash, reduced);
  c.set(2, stash, std::move(reduced));
  return {};
}

// The result has the scale's element type.
Status rms_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_elem(1, kFloats));
  if (const Shape* x = c.shape(0)) {
    FEWBIT_TRY(c.normalize_axis(c.node().get_int("axis", -1), c.rank(0)));
    FEWBIT_TRY(check_broadcasts_to(c, 1, *x));
  }
  c.set(0, c.elem(1), shape_of(c, 0));
  return {};
}

// input, skip, gamma, beta?, bias? (SkipSimplified: input, skip, gamma, bias?)
// -> output, mean, inv_std_var, input_skip_bias_sum
Status skip_normalization(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  c.set(0, c.elem(0), shape_of(c, 0));
  std::optional<Shape> reduced = shape_of(c, 0);
  if (reduced && !reduced->empty()) reduced->back() = Dim::of(1);
  c.set(1, DType::kFloat32, reduced);
  c.set(2, DType::kFloat32, std::move(reduced));
  c.set(3, c.elem(0), shape_of(c, 0));
  return {};
}

Status dropout(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(check_one_element(c, 1));
  FEWBIT_TRY(c.check_elem(2, kBools));
  c.set_type(0, c.type(0));
  // The mask was a float tensor before version 10.
  c.set(1, c.opset() < 10 ? c.elem(0) : DType::kBool, shape_of(c, 0));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "BatchNormalization", 7, 5, 5, 1, 5, batch_normalization},
    {"", "BatchNormalization", 14, 5, 5, 1, 3, batch_normalization},
    {"", "Dropout", 7, 1, 1, 1, 2, dropout},
    {"", "Dropout", 12, 1, 3, 1, 2, dropout},
    {"", "GroupNormalization", 18, 3, 3, 1, 1, group_normalization},
    {"", "InstanceNormalization", 1, 3, 3, 1, 1, instance_normalization},
    {"", "LayerNormalization", 1, 2, 3, 1, 3, layer_normalization},
    {"", "MeanVarianceNormalization", 9, 1, 1, 1, 1, same_as_float_input},
    {"", "RMSNormalization", 23, 2, 2, 1, 1, rms_normalization},
    // Exporters write these two in the default domain, too, before the standard has them.
    {"", "SimplifiedLayerNormalization", 1, 2, 2, 1, 3, layer_normalization},
    {"com.microsoft", "LayerNormalization", 1, 2, 3, 1, 3, layer_normalization},
    {"com.microsoft", "SimplifiedLayerNormalization", 1, 2, 2, 1, 3, layer_normalization},
    {"com.microsoft", "SkipLayerNormalization", 1, 3, 5, 1, 4, skip_normalization},
    {"com.microsoft", "SkipSimplifiedLayerNormalization", 1, 3, 4, 1, 4, skip_normalization},
};

}  // namespace

std::span<const SchemaRow> norm_rows() {
  return kRows;
}

}  // namespace fewbit::infer
