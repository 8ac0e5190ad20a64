#include "graph/attribute_types.h"

#include <algorithm>
#include <array>

namespace fewbit {

namespace {

// The alternatives of Attribute, in its order.
enum Type {
  kInt,
  kFloat,
  kString,
  kTensor,
  kGraph,
  kInts,
  kFloats,
  kStrings,
  kTensors,
  kGraphs,
  kType
};
// clang-format off
constexpr std::string_view kTypeNames[] = {
    "an integer", "a number", "a string", "a tensor", "a graph", "a list of integers",
    "a list of numbers", "a list of strings", "a list of tensors", "a list of graphs", "a type"};
// clang-format on
static_assert(std::size(kTypeNames) == std::variant_size_v<Attribute>);

struct Row {
  std::string_view name;
  Type type;
};

// From version 7 on an attribute's name fixes its type in the whole standard, but for the
// exceptions in expected_attribute_type. Sorted by name.
// clang-format off
constexpr Row kRows[] = {
    {"activation", kString}, {"activation_alpha", kFloats}, {"activation_beta", kFloats},
    {"activations", kStrings}, {"align_corners", kInt}, {"allowzero", kInt}, {"alpha", kFloat},
    {"antialias", kInt}, {"approximate", kString}, {"auto_pad", kString}, {"axes", kInts},
    {"axis", kInt}, {"batch_axis", kInt}, {"batch_dims", kInt}, {"beta", kFloat}, {"bias", kFloat},
    {"block_size", kInt}, {"blocksize", kInt}, {"body", kGraph}, {"case_change_action", kString},
    {"ceil_mode", kInt}, {"center_point_box", kInt}, {"chunk_size", kInt}, {"clip", kFloat},
    {"coordinate_transformation_mode", kString}, {"count_include_pad", kInt},
    {"cubic_coeff_a", kFloat}, {"delimiter", kString}, {"detect_negative", kInt},
    {"detect_positive", kInt}, {"dilations", kInts}, {"direction", kString}, {"directions", kInts},
    {"dtype", kInt}, {"else_branch", kGraph}, {"end", kInt}, {"ends", kInts}, {"epsilon", kFloat},
    {"equation", kString}, {"exclude_outside", kInt}, {"exclusive", kInt},
    {"extrapolation_value", kFloat}, {"fmod", kInt}, {"gamma", kFloat}, {"group", kInt},
    {"hidden_size", kInt}, {"high", kFloat}, {"ignore_index", kInt}, {"input_forget", kInt},
    {"interleaved", kInt}, {"inverse", kInt}, {"is_case_sensitive", kInt}, {"is_causal", kInt},
    {"k", kInt}, {"keep_aspect_ratio_policy", kString}, {"keepdims", kInt}, {"kernel_shape", kInts},
    {"kv_num_heads", kInt}, {"lambd", kFloat}, {"largest", kInt}, {"layout", kInt},
    {"left_window_size", kInt}, {"linear_before_reset", kInt}, {"locale", kString}, {"low", kFloat},
    {"max", kFloat}, {"max_gram_length", kInt}, {"max_skip_count", kInt}, {"maxsplit", kInt},
    {"mean", kFloat}, {"min", kFloat}, {"min_gram_length", kInt}, {"mode", kString},
    {"momentum", kFloat}, {"nearest_mode", kString}, {"new_axis", kInt}, {"ngram_counts", kInts},
    {"ngram_indexes", kInts}, {"noop_with_empty_axes", kInt}, {"num_groups", kInt},
    {"num_heads", kInt}, {"num_outputs", kInt}, {"num_scan_inputs", kInt}, {"offset_group", kInt},
    {"onesided", kInt}, {"output_datatype", kInt}, {"output_dtype", kInt}, {"output_height", kInt},
    {"output_padding", kInts}, {"output_shape", kInts}, {"output_width", kInt}, {"p", kInt},
    {"padding_mode", kString}, {"pads", kInts}, {"pattern", kString}, {"periodic", kInt},
    {"perm", kInts}, {"pixel_format", kString}, {"pool_int64s", kInts}, {"pool_strings", kStrings},
    {"pooled_shape", kInts}, {"precision", kInt}, {"q_num_heads", kInt},
    {"qk_matmul_output_mode", kInt}, {"ratio", kFloat}, {"reduction", kString}, {"reverse", kInt},
    {"right_window_size", kInt}, {"rotary_embedding_dim", kInt}, {"round_mode", kString},
    {"sample_size", kInt}, {"sampling_ratio", kInt}, {"saturate", kInt}, {"scale", kFloat},
    {"scales", kFloats}, {"scan_input_axes", kInts}, {"scan_input_directions", kInts},
    {"scan_output_axes", kInts}, {"scan_output_directions", kInts}, {"seed", kFloat},
    {"select_last_index", kInt}, {"shape", kInts}, {"size", kInt}, {"softcap", kFloat},
    {"softmax_precision", kInt}, {"sorted", kInt}, {"spatial", kInt}, {"spatial_scale", kFloat},
    {"split", kInts}, {"start", kInt}, {"starts", kInts}, {"stash_type", kInt},
    {"stopwords", kStrings}, {"storage_order", kInt}, {"strides", kInts}, {"then_branch", kGraph},
    {"time_axis", kInt}, {"to", kInt}, {"training_mode", kInt}, {"transA", kInt}, {"transB", kInt},
    {"type", kType}, {"update_rule", kString}, {"upper", kInt}, {"value", kTensor},
    {"value_float", kFloat}, {"value_floats", kFloats}, {"value_int", kInt}, {"value_ints", kInts},
    {"value_string", kString}, {"value_strings", kStrings}, {"weights", kFloats},
};
// clang-format on
static_assert(std::is_sorted(std::begin(kRows), std::end(kRows),
                             [](const Row& a, const Row& b) { return a.name < b.name; }));

}  // namespace

std::string_view attribute_type_name(const Attribute& attribute) {
  return kTypeNames[attribute.index()];
}

std::string_view expected_attribute_type(std::string_view op_type, int opset,
                                         std::string_view name) {
  if (op_type == "Pad" && opset < 11 && name == "value") return kTypeNames[kFloat];
  if (op_type == "Dropout" && name == "seed") return kTypeNames[kInt];
  const auto* row = std::lower_bound(std::begin(kRows), std::end(kRows), name,
                                     [](const Row& r, std::string_view n) { return r.name < n; });
  return row != std::end(kRows) && row->name == name ? kTypeNames[row->type] : std::string_view{};
}

}  // namespace fewbit
