// Concat and Split.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

// Every dimension but `axis` is common to all inputs; those of `axis` are added up.
Result<Shape> concat_shape(const InferContext& c, size_t axis, size_t rank) {
  Shape out(rank);
  Dim sum = Dim::of(0);
  for (size_t i = 0; i < c.input_count(); ++i) {
    if (!c.has(i)) continue;
    const Shape* s = c.shape(i);
    if (s == nullptr) {
      sum = Dim{};
      continue;
    }
    FEWBIT_TRY(c.check_rank(i, static_cast<int64_t>(rank)));
    for (size_t k = 0; k < rank; ++k) {
      if (k == axis) continue;
      FEWBIT_TRY(c.check_dim(i, k, out[k]));
      out[k] = more_precise(out[k], (*s)[k]);
    }
    sum = add(sum, (*s)[axis]);
  }
  out[axis] = sum;
  return out;
}

// Joined along `axis`; the pieces agree in all other dimensions (their shapes have been checked).
std::optional<PartialValue> concat_values(const InferContext& c, size_t axis) {
  std::vector<PartialValue> pieces;
  int64_t length = 0;
  int64_t count = 0;
  for (size_t i = 0; i < c.input_count(); ++i) {
    auto piece = value_or_unknown(c, i);
    if (!piece || axis >= piece->dims.size()) return std::nullopt;
    Dims across = piece->dims;
    if (!pieces.empty()) across[axis] = pieces.front().dims[axis];
    if (!pieces.empty() && across != pieces.front().dims) return std::nullopt;
    length += piece->dims[axis];
    count += static_cast<int64_t>(piece->elements.size());
    pieces.push_back(std::move(*piece));
  }
  if (count > kMaxPartialElements) return std::nullopt;
  PartialValue out;
  out.dims = pieces.front().dims;
  out.dims[axis] = length;
  int64_t outer = 1;
  for (size_t k = 0; k < axis; ++k) outer *= out.dims[k];
  for (int64_t row = 0; row < outer; ++row) {
    for (const PartialValue& piece : pieces) {
      auto run = static_cast<int64_t>(piece.elements.size()) / outer;
      auto from = piece.elements.begin() + row * run;
      out.elements.insert(out.elements.end(), from, from + run);
    }
  }
  return out;
}

Status concat(InferContext& c) {
  int64_t rank = -1;
  std::vector<size_t> which;
  for (size_t i = 0; i < c.input_count(); ++i) {
    FEWBIT_TRY(c.check_same_elem(0, i));
    which.push_back(i);
    if (rank < 0) rank = c.rank(i);
  }
  DType elem = first_elem(c, which);
  FEWBIT_ASSIGN(int64_t given, c.required_int("axis"));
  if (rank < 0) {
    c.set(0, elem, std::nullopt);
    return {};
  }
  FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(given, rank));
  FEWBIT_ASSIGN(Shape out, concat_shape(c, static_cast<size_t>(axis), static_cast<size_t>(rank)));
  c.set(0, elem, std::move(out));
  if (auto value = concat_values(c, static_cast<size_t>(axis))) c.set_value(0, std::move(*value));
  return {};
}

// Sizes of the parts where they are not given. From version 18 on the last part may be smaller.
Result<std::vector<Dim>> equal_parts(const InferContext& c, const Dim& whole, size_t parts) {
  std::vector<Dim> sizes(parts);
  if (!whole.known()) {
    if (parts == 1) sizes[0] = whole;
    return sizes;
  }
  auto n = static_cast<int64_t>(parts);
  int64_t part = whole.value / n + (whole.value % n != 0 ? 1 : 0);
  int64_t last = whole.value - part * (n - 1);
  if (last < 0 || (c.opset() < 18 && last != part)) {
    return c.fail(0, "a dimension that splits into {} equal parts", parts);
  }
  for (Dim& d : sizes) d = Dim::of(part);
  sizes.back() = Dim::of(last);
  return sizes;
}

Result<std::vector<Dim>> given_parts(const InferContext& c, const std::vector<int64_t>& sizes,
                                     const Dim& whole, size_t parts) {
  if (sizes.size() != parts) {
    return bad_input("split names {} parts, but the node has {} outputs", sizes.size(), parts);
  }
  std::vector<Dim> out;
  Dim sum = Dim::of(0);
  for (int64_t size : sizes) {
    if (size < 0) return bad_input("split holds {}, expected sizes", size);
    out.push_back(Dim::of(size));
    sum = add(sum, out.back());
  }
  if (certainly_differ(sum, whole)) {
    return c.fail(0, "a dimension of {}, the sum of split {}", sum.value, to_string(sizes));
  }
  return out;
}

Result<std::vector<Dim>> split_sizes(const InferContext& c, const Dim& whole) {
  size_t parts = c.output_count();
  if (c.opset() < 13) {
    if (!c.node().has("split")) return equal_parts(c, whole, parts);
    FEWBIT_ASSIGN(std::vector<int64_t> sizes, c.required_ints("split"));
    return given_parts(c, sizes, whole, parts);
  }
  if (!c.has(1)) {
    int64_t asked = c.node().get_int("num_outputs", static_cast<int64_t>(parts));
    if (asked != static_cast<int64_t>(parts)) {
      return bad_input("num_outputs is {}, but the node has {} outputs", asked, parts);
    }
    return equal_parts(c, whole, parts);
  }
  if (auto sizes = c.ints(1)) return given_parts(c, *sizes, whole, parts);
  std::vector<Dim> out(parts);
  const PartialValue* v = c.value(1);
  for (size_t i = 0; v != nullptr && i < parts && i < v->elements.size(); ++i) {
    out[i] = v->elements[i].to_dim();
  }
  return out;
}

void carry_split(InferContext& c, size_t axis, const std::vector<Dim>& sizes) {
  const PartialValue* v = c.value(0);
  int64_t start = 0;
  for (size_t i = 0; v != nullptr && i < sizes.size() && sizes[i].known(); ++i) {
    std::vector<SliceAxis> axes;
    for (int64_t d : v->dims) axes.push_back({0, 1, d});
    axes[axis] = {start, 1, sizes[i].value};
    start += sizes[i].value;
    if (start > v->dims[axis]) return;
    c.set_value(i, sliced(*v, axes));
  }
}

Status split(InferContext& c) {
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    for (size_t i = 0; i < c.output_count(); ++i) c.set(i, c.elem(0), std::nullopt);
    return {};
  }
  FEWBIT_ASSIGN(int64_t normalized, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
  auto axis = static_cast<size_t>(normalized);
  FEWBIT_ASSIGN(std::vector<Dim> sizes, split_sizes(c, (*s)[axis]));
  for (size_t i = 0; i < c.output_count(); ++i) {
    Shape out = *s;
    out[axis] = sizes[i];
    c.set(i, c.elem(0), std::move(out));
  }
  carry_split(c, axis, sizes);
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Concat", 4, 1, -1, 1, 1, concat},
    {"", "Split", 2, 1, 1, 1, -1, split},
    {"", "Split", 13, 1, 2, 1, -1, split},
};

}  // namespace

std::span<const SchemaRow> join_rows() {
  return kRows;
}

}  // namespace fewbit::infer
