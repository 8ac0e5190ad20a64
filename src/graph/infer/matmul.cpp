// Matrix products in all their spellings, Einsum, Det.

#include <map>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/matmul.h"

namespace fewbit::infer {

namespace {

Error inner_mismatch(const InferContext& c, size_t a, size_t b, const Dim& left, const Dim& right) {
  return bad_input("{} is {} and {} is {}: the inner dimensions {} and {} differ", c.input_label(a),
                   c.type(a).to_string(), c.input_label(b), c.type(b).to_string(), left.value,
                   right.value);
}

}  // namespace

Result<std::optional<Shape>> matmul_shape(const InferContext& c, size_t a, size_t b,
                                          bool transpose_a, bool transpose_b) {
  FEWBIT_TRY(c.check_min_rank(a, 1));
  FEWBIT_TRY(c.check_min_rank(b, 1));
  if (!c.has_shape(a) || !c.has_shape(b)) return std::optional<Shape>{};
  Shape left = *c.shape(a);
  Shape right = *c.shape(b);
  bool row = left.size() == 1;
  bool column = right.size() == 1;
  if (row) left.insert(left.begin(), Dim::of(1));
  if (column) right.push_back(Dim::of(1));
  size_t m = left.size();
  size_t n = right.size();
  if (transpose_a && !row) std::swap(left[m - 1], left[m - 2]);
  if (transpose_b && !column) std::swap(right[n - 1], right[n - 2]);
  if (certainly_differ(left[m - 1], right[n - 2])) {
    return inner_mismatch(c, a, b, left[m - 1], right[n - 2]);
  }
  auto out = broadcast(Shape(left.begin(), left.end() - 2), Shape(right.begin(), right.end() - 2));
  if (!out) {
    return bad_input("{} is {} and {} is {}: the batch dimensions cannot be broadcast together",
                     c.input_label(a), c.type(a).to_string(), c.input_label(b),
                     c.type(b).to_string());
  }
  if (!row) out->push_back(left[m - 2]);
  if (!column) out->push_back(right[n - 1]);
  return out;
}

Result<Shape> gemm_shape(const InferContext& c, size_t a, size_t b) {
  FEWBIT_TRY(c.check_rank(a, 2));
  FEWBIT_TRY(c.check_rank(b, 2));
  bool trans_a = c.node().get_int("transA", 0) != 0;
  bool trans_b = c.node().get_int("transB", 0) != 0;
  const Shape* left = c.shape(a);
  const Shape* right = c.shape(b);
  Shape out(2);
  if (left != nullptr) out[0] = (*left)[trans_a ? 1 : 0];
  if (right != nullptr) out[1] = (*right)[trans_b ? 0 : 1];
  if (left != nullptr && right != nullptr) {
    const Dim& k = (*left)[trans_a ? 0 : 1];
    const Dim& k2 = (*right)[trans_b ? 1 : 0];
    if (certainly_differ(k, k2)) return inner_mismatch(c, a, b, k, k2);
  }
  return out;
}

namespace {

Status matmul(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 1, false, false));
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

constexpr TypeSet kBytes = types(DType::kInt8, DType::kUint8);

Status matmul_integer(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kBytes));
  FEWBIT_TRY(c.check_elem(1, kBytes));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_same_elem(1, 3));
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 1, false, false));
  c.set(0, DType::kInt32, std::move(out));
  return {};
}

// a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point
Status qlinear_matmul(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_same_elem(3, 5));
  FEWBIT_ASSIGN(std::optional<Shape> out, matmul_shape(c, 0, 3, false, false));
  c.set(0, c.elem(7), std::move(out));
  return {};
}

Status gemm(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_ASSIGN(Shape out, gemm_shape(c, 0, 1));
  FEWBIT_TRY(check_broadcasts_to(c, 2, out));
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

Status det(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    size_t n = out->size();
    FEWBIT_TRY(c.check_dim(0, n - 1, (*out)[n - 2]));
    out->resize(n - 2);
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// -- Einsum: "ij,jk->ik", with "..." for broadcast dimensions.

struct Equation {
  std::vector<std::string> terms;  ///< without spaces; "..." is written as one '.'
  std::optional<std::string> output;
};

Result<Equation> parse_equation(const std::string& text) {
  std::string compact;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ' ') continue;
    if (text.compare(i, 3, "...") == 0) {
      i += 2;
      compact += '.';
    } else {
      compact += text[i];
    }
  }
  Equation equation;
  size_t arrow = compact.find("->");
  if (arrow != std::string::npos) equation.output = compact.substr(arrow + 2);
  std::string left = compact.substr(0, arrow);
  for (size_t start = 0; start <= left.size();) {
    size_t comma = std::min(left.find(',', start), left.size());
    equation.terms.push_back(left.substr(start, comma - start));
    start = comma + 1;
  }
  for (char letter : left + equation.output.value_or("")) {
    bool fine = letter == ',' || letter == '.' || (letter >= 'a' && letter <= 'z') ||
                (letter >= 'A' && letter <= 'Z');
    if (!fine) return bad_input("equation '{}' holds '{}', expected letters", text, letter);
  }
  return equation;
}

struct EinsumDims {
  std::map<char, Dim> letters;
  std::map<char, int> uses;
  Shape ellipsis;
};

// Reads one operand's dimensions into `dims`; false if its shape is not known.
Result<bool> read_operand(const InferContext& c, size_t i, const std::string& term,
                          EinsumDims& dims) {
  for (char letter : term) dims.uses[letter] += letter == '.' ? 0 : 1;
  const Shape* s = c.shape(i);
  if (s == nullptr) return false;
  bool has_ellipsis = term.find('.') != std::string::npos;
  size_t letters = term.size() - (has_ellipsis ? 1 : 0);
  if (has_ellipsis ? s->size() < letters : s->size() != letters) {
    return c.fail(i, "{} dimensions for the term '{}'", letters, term);
  }
  size_t axis = 0;
  for (char letter : term) {
    if (letter == '.') {
      size_t count = s->size() - letters;
      Shape part(s->begin() + static_cast<int64_t>(axis),
                 s->begin() + static_cast<int64_t>(axis + count));
      auto merged = broadcast(dims.ellipsis, part);
      if (!merged) return c.fail(i, "dimensions under '...' that broadcast with the other inputs");
      dims.ellipsis = std::move(*merged);
      axis += count;
      continue;
    }
    auto [at, first] = dims.letters.try_emplace(letter, (*s)[axis]);
    auto merged = broadcast_dim(at->second, (*s)[axis]);
    if (!merged) return c.fail(i, "dimension {} ('{}') to be {}", axis, letter, at->second.value);
    if (!first) at->second = std::move(*merged);
    ++axis;
  }
  return true;
}

Status einsum(InferContext& c) {
  FEWBIT_ASSIGN(std::string text, c.required_string("equation"));
  FEWBIT_ASSIGN(Equation equation, parse_equation(text));
  if (equation.terms.size() != c.input_count()) {
    return bad_input("equation '{}' has {} terms, but the node has {} inputs", text,
                     equation.terms.size(), c.input_count());
  }
  EinsumDims dims;
  bool all_known = true;
  std::vector<size_t> which;
  for (size_t i = 0; i < c.input_count(); ++i) {
    which.push_back(i);
    FEWBIT_TRY(c.check_same_elem(0, i));
    FEWBIT_ASSIGN(bool known, read_operand(c, i, equation.terms[i], dims));
    all_known = all_known && known;
  }
  std::string output = equation.output.value_or(".");
  if (!equation.output) {
    for (const auto& [letter, count] : dims.uses) {
      if (count == 1) output += letter;
    }
  }
  Shape out;
  bool has_ellipsis = false;
  for (char letter : output) {
    if (letter == '.') {
      has_ellipsis = true;
      out.insert(out.end(), dims.ellipsis.begin(), dims.ellipsis.end());
    } else if (dims.uses[letter] == 0) {
      return bad_input("equation '{}': no input has '{}'", text, letter);
    } else {
      out.push_back(dims.letters[letter]);
    }
  }
  bool rank_known = all_known || !has_ellipsis;
  c.set(0, first_elem(c, which), rank_known ? std::optional(std::move(out)) : std::nullopt);
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Det", 11, 1, 1, 1, 1, det},
    {"", "Einsum", 12, 1, -1, 1, 1, einsum},
    {"", "Gemm", 1, 3, 3, 1, 1, gemm},
    {"", "Gemm", 11, 2, 3, 1, 1, gemm},
    {"", "MatMul", 1, 2, 2, 1, 1, matmul},
    {"", "MatMulInteger", 10, 2, 4, 1, 1, matmul_integer},
    {"", "QLinearMatMul", 10, 8, 8, 1, 1, qlinear_matmul},
    {"com.microsoft", "FusedGemm", 1, 2, 3, 1, 1, gemm},
};

}  // namespace

std::span<const SchemaRow> matmul_rows() {
  return kRows;
}

}  // namespace fewbit::infer
