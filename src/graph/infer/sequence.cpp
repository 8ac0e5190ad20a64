// Sequences and optionals.

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

using Kind = ValueType::Kind;

ValueType container(Kind kind, ValueType inner) {
  ValueType out;
  out.kind = kind;
  out.inner = std::make_shared<ValueType>(std::move(inner));
  return out;
}

Status check_kind(const InferContext& c, size_t i, Kind kind, std::string_view expected) {
  if (c.type(i).kind == Kind::kUnknown || c.type(i).kind == kind) return {};
  return c.fail(i, "{}", expected);
}

Status check_sequence(const InferContext& c, size_t i) {
  return check_kind(c, i, Kind::kSequence, "a sequence");
}

/// The type of the elements of sequence i; kUnknown if not known.
ValueType element_of(const InferContext& c, size_t i) {
  return c.type(i).inner ? *c.type(i).inner : ValueType{};
}

Status sequence_construct(InferContext& c) {
  ValueType element = c.type(0);
  for (size_t i = 1; i < c.input_count(); ++i) {
    FEWBIT_TRY(c.check_same_elem(0, i));
    element = union_types(element, c.type(i));
  }
  c.set_type(0, container(Kind::kSequence, std::move(element)));
  return {};
}

Status sequence_empty(InferContext& c) {
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("dtype", DType::kFloat32));
  c.set_type(0, container(Kind::kSequence, ValueType::tensor(elem)));
  return {};
}

Status sequence_at(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  FEWBIT_TRY(c.check_elem(1, kIndices));
  c.set_type(0, element_of(c, 0));
  return {};
}

Status sequence_erase(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  c.set_type(0, c.type(0));
  return {};
}

Status sequence_insert(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  ValueType held = element_of(c, 0);
  const ValueType& added = c.type(1);
  bool differ = held.kind == Kind::kTensor && added.kind == Kind::kTensor &&
                held.elem != DType::kUndefined && added.elem != DType::kUndefined &&
                held.elem != added.elem;
  if (differ) return c.fail(1, "{} like the elements of {}", name_of(held.elem), c.input_label(0));
  c.set_type(0, container(Kind::kSequence, union_types(held, added)));
  return {};
}

Status sequence_length(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  c.set(0, DType::kInt64, Shape{});
  return {};
}

// new_axis = 1 stacks; otherwise the elements are joined along `axis`.
Status concat_from_sequence(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  ValueType out = element_of(c, 0);
  if (out.kind != Kind::kTensor) return {};
  if (out.shape) {
    bool stack = c.node().get_int("new_axis", 0) != 0;
    int64_t rank = static_cast<int64_t>(out.shape->size()) + (stack ? 1 : 0);
    FEWBIT_ASSIGN(int64_t given, c.required_int("axis"));
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(given, rank));
    if (stack) {
      out.shape->insert(out.shape->begin() + axis, Dim{});
    } else {
      (*out.shape)[static_cast<size_t>(axis)] = Dim{};
    }
  }
  c.set_type(0, std::move(out));
  return {};
}

Status split_to_sequence(InferContext& c) {
  std::optional<Shape> part = shape_of(c, 0);
  if (part) {
    FEWBIT_ASSIGN(int64_t given, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
    auto axis = static_cast<size_t>(given);
    Dim& d = (*part)[axis];
    if (!c.has(1)) {
      // keepdims only counts where `split` is left out.
      d = Dim::of(1);
      if (c.node().get_int("keepdims", 1) == 0) part->erase(part->begin() + given);
    } else {
      auto sizes = c.ints(1);
      bool even =
          sizes && !sizes->empty() && sizes->front() > 0 &&
          std::adjacent_find(sizes->begin(), sizes->end(), std::not_equal_to<>()) == sizes->end();
      bool scalar = c.rank(1) == 0;
      if (scalar && even && (!d.known() || d.value % sizes->front() != 0)) even = false;
      d = even ? Dim::of(sizes->front()) : Dim{};
    }
  }
  c.set_type(0, container(Kind::kSequence, ValueType::tensor(c.elem(0), std::move(part))));
  return {};
}

// Every input sequence yields one element, every tensor is passed as it is.
Status sequence_map(InferContext& c) {
  FEWBIT_TRY(check_sequence(c, 0));
  FEWBIT_ASSIGN(std::shared_ptr<Graph> body, c.required_graph("body"));
  std::vector<ValueType> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) {
    bool is_sequence = c.type(i).kind == Kind::kSequence;
    inputs.push_back(is_sequence ? element_of(c, i) : c.type(i));
  }
  FEWBIT_ASSIGN(SubgraphOutputs outputs, c.infer_subgraph(*body, inputs));
  if (outputs.types.size() != c.output_count()) {
    return bad_input("sub-graph 'body' yields {} outputs, but the node has {}",
                     outputs.types.size(), c.output_count());
  }
  for (size_t i = 0; i < c.output_count(); ++i) {
    c.set_type(i, container(Kind::kSequence, outputs.types[i]));
  }
  return {};
}

Status optional(InferContext& c) {
  ValueType inner = c.type(0);
  if (!c.has(0)) {
    const auto* declared = c.node().get<ValueType>("type");
    if (declared == nullptr) {
      return bad_input("there is neither an input nor the attribute 'type'");
    }
    inner = *declared;
  }
  c.set_type(0, container(Kind::kOptional, std::move(inner)));
  return {};
}

Status optional_has_element(InferContext& c) {
  c.set(0, DType::kBool, Shape{});
  return {};
}

// From version 18 on the input may also be the element itself.
Status optional_get_element(InferContext& c) {
  bool is_optional = c.type(0).kind == Kind::kOptional;
  c.set_type(0, is_optional ? element_of(c, 0) : c.type(0));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "ConcatFromSequence", 11, 1, 1, 1, 1, concat_from_sequence, true},
    {"", "Optional", 15, 0, 1, 1, 1, optional, true},
    {"", "OptionalGetElement", 15, 1, 1, 1, 1, optional_get_element, true},
    {"", "OptionalHasElement", 15, 1, 1, 1, 1, optional_has_element, true},
    {"", "OptionalHasElement", 18, 0, 1, 1, 1, optional_has_element, true},
    {"", "SequenceAt", 11, 2, 2, 1, 1, sequence_at, true},
    {"", "SequenceConstruct", 11, 1, -1, 1, 1, sequence_construct},
    {"", "SequenceEmpty", 11, 0, 0, 1, 1, sequence_empty},
    {"", "SequenceErase", 11, 1, 2, 1, 1, sequence_erase, true},
    {"", "SequenceInsert", 11, 2, 3, 1, 1, sequence_insert, true},
    {"", "SequenceLength", 11, 1, 1, 1, 1, sequence_length, true},
    {"", "SequenceMap", 17, 1, -1, 1, -1, sequence_map, true},
    {"", "SplitToSequence", 11, 1, 2, 1, 1, split_to_sequence},
};

}  // namespace

std::span<const SchemaRow> sequence_rows() {
  return kRows;
}

}  // namespace fewbit::infer
