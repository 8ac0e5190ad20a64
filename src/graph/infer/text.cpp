// Strings, and the classical models of ai.onnx.ml whose types are evident.

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

constexpr TypeSet kStrings = types(DType::kString);

// [C] or [1, C]; how many words are left depends on the data.
Status string_normalizer(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kStrings));
  std::optional<Shape> out = shape_of(c, 0);
  // Where no word is left, the result is one empty string.
  bool keeps = !c.node().has("stopwords") && out && !out->empty() && out->back().value > 0;
  if (out && !out->empty() && !keeps) out->back() = Dim{};
  c.set(0, DType::kString, std::move(out));
  return {};
}

Status string_split(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kStrings));
  std::optional<Shape> parts = shape_of(c, 0);
  if (parts) parts->push_back(Dim{});
  c.set(0, DType::kString, std::move(parts));
  c.set(1, DType::kInt64, shape_of(c, 0));
  return {};
}

Status regex_full_match(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kStrings));
  c.set(0, DType::kBool, shape_of(c, 0));
  return {};
}

// The last dimension becomes the number of n-gram coordinates.
Status tf_idf(InferContext& c) {
  FEWBIT_ASSIGN(std::vector<int64_t> indexes, c.required_ints("ngram_indexes"));
  if (indexes.empty()) return bad_input("ngram_indexes is empty");
  FEWBIT_TRY(c.check_min_rank(0, 1));
  std::optional<Shape> out = shape_of(c, 0);
  auto last = checked_add(*std::max_element(indexes.begin(), indexes.end()), 1);
  if (out) out->back() = dim_or_unknown(last);
  c.set(0, DType::kFloat32, std::move(out));
  return {};
}

Status label_encoder(InferContext& c) {
  const Node& node = c.node();
  DType elem = DType::kUndefined;
  if (const auto* values = node.get<Tensor>("values_tensor")) elem = values->type();
  if (node.has("values_strings")) elem = DType::kString;
  if (node.has("values_int64s")) elem = DType::kInt64;
  if (node.has("values_floats")) elem = DType::kFloat32;
  c.set(0, elem, shape_of(c, 0));
  return {};
}

Status tree_ensemble(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 2));
  Dim batch = c.has_shape(0) ? c.shape(0)->front() : Dim{};
  c.set(0, c.elem(0), Shape{batch, dim_or_unknown(c.node().get_int("n_targets", -1))});
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "RegexFullMatch", 20, 1, 1, 1, 1, regex_full_match},
    {"", "StringNormalizer", 10, 1, 1, 1, 1, string_normalizer},
    {"", "StringSplit", 20, 1, 1, 2, 2, string_split},
    {"", "TfIdfVectorizer", 9, 1, 1, 1, 1, tf_idf},
    {"ai.onnx.ml", "LabelEncoder", 2, 1, 1, 1, 1, label_encoder},
    {"ai.onnx.ml", "TreeEnsemble", 5, 1, 1, 1, 1, tree_ensemble},
};

}  // namespace

std::span<const SchemaRow> text_rows() {
  return kRows;
}

}  // namespace fewbit::infer
