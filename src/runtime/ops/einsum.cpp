// Einsum: sums of products over named indices, contracted from the left two operands at a time.
//
// Each contraction is a batched matrix product: labels of both operands that are kept are the
// batch, labels of both that are not kept are contracted, the others are rows and columns.

#include <algorithm>
#include <map>
#include <string>

#include "runtime/ops/matrix_product.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Labels are letters; the dimensions under an ellipsis get the labels kEllipsis, kEllipsis + 1, ...
using Label = int;
using Labels = std::vector<Label>;
constexpr Label kEllipsis = 256;

struct Equation {
  std::vector<std::string> terms;
  std::string output;
  bool explicit_output = false;
};

Result<Equation> split_equation(const Node& node) {
  std::string text;
  for (char c : node.get_string("equation", "")) {
    if (c != ' ') text += c;
  }
  Equation eq;
  const size_t arrow = text.find("->");
  if (arrow != std::string::npos) {
    eq.explicit_output = true;
    eq.output = text.substr(arrow + 2);
    text.resize(arrow);
  }
  size_t from = 0;
  for (size_t comma = 0; comma != std::string::npos; from = comma + 1) {
    comma = text.find(',', from);
    eq.terms.push_back(text.substr(from, comma == std::string::npos ? comma : comma - from));
  }
  return eq;
}

/// The labels of one term; `ellipsis_rank` dimensions stand under "...".
Result<Labels> parse_term(const Node& node, const std::string& term, int64_t ellipsis_rank) {
  Labels labels;
  for (size_t i = 0; i < term.size(); ++i) {
    const char c = term[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      labels.push_back(c);
    } else if (term.compare(i, 3, "...") == 0) {
      for (int64_t e = 0; e < ellipsis_rank; ++e) {
        labels.push_back(kEllipsis + static_cast<Label>(e));
      }
      i += 2;
    } else {
      return node_error(node, "'{}' in the equation's term '{}' is neither a letter nor '...'", c,
                        term);
    }
  }
  return labels;
}

bool contains(const Labels& labels, Label l) {
  return std::find(labels.begin(), labels.end(), l) != labels.end();
}

/// An operand: a contiguous tensor and one label per dimension, all different.
template <typename T>
struct Operand {
  Labels labels;
  Dims dims;
  std::vector<T> values;

  int64_t extent(Label l) const {
    auto it = std::find(labels.begin(), labels.end(), l);
    return it == labels.end() ? 1 : dims[static_cast<size_t>(it - labels.begin())];
  }
};

/// The values of a strided view, summed over what is not in `order`, contiguous in that order.
/// A label may stand on several dimensions of the view (a diagonal: the strides add up).
template <typename T>
std::vector<T> gather(const T* data, const Labels& labels, const Dims& dims, const Dims& strides,
                      const Labels& order, Dims* out_dims) {
  std::map<Label, std::pair<int64_t, int64_t>> axes;  // label -> extent, stride
  for (size_t i = 0; i < labels.size(); ++i) {
    auto& [extent, stride] = axes.try_emplace(labels[i], dims[i], 0).first->second;
    stride += strides[i];
  }
  Dims kept_strides, summed, summed_strides;
  out_dims->clear();
  for (Label l : order) {
    auto it = axes.find(l);
    out_dims->push_back(it == axes.end() ? 1 : it->second.first);
    kept_strides.push_back(it == axes.end() ? 0 : it->second.second);
  }
  for (const auto& [label, axis] : axes) {
    if (contains(order, label)) continue;
    summed.push_back(axis.first);
    summed_strides.push_back(axis.second);
  }
  std::vector<T> out;
  walk(*out_dims, kept_strides, [&](int64_t base) {
    T sum = 0;
    walk(summed, summed_strides, [&](int64_t at) { sum += data[base + at]; });
    out.push_back(sum);
  });
  return out;
}

template <typename T>
Operand<T> reordered(const Operand<T>& x, const Labels& order) {
  Operand<T> out;
  out.labels = order;
  out.values = gather(x.values.data(), x.labels, x.dims, strides_of(x.dims), order, &out.dims);
  return out;
}

/// The product of two operands, summed over the labels that are not in `keep`.
template <typename T>
Result<Operand<T>> contract(const Node& node, const Operand<T>& a, const Operand<T>& b,
                            const Labels& keep) {
  Labels batch, rows, columns, summed;
  for (Label l : a.labels) {
    // A dimension of 1 against n repeats: it must not be contracted as if it were whole.
    const bool shared = contains(b.labels, l) && a.extent(l) == b.extent(l);
    if (shared) {
      (contains(keep, l) ? batch : summed).push_back(l);
    } else if (contains(keep, l) && !(contains(b.labels, l) && a.extent(l) == 1)) {
      rows.push_back(l);
    }
  }
  for (Label l : b.labels) {
    const bool shared = contains(a.labels, l) && a.extent(l) == b.extent(l);
    if (!shared && contains(keep, l) && !contains(rows, l)) columns.push_back(l);
  }
  auto joined = [](std::initializer_list<const Labels*> parts) {
    Labels all;
    for (const Labels* p : parts) all.insert(all.end(), p->begin(), p->end());
    return all;
  };
  Operand<T> out;
  out.labels = joined({&batch, &rows, &columns});
  for (Label l : out.labels) {
    out.dims.push_back(contains(columns, l) ? b.extent(l) : a.extent(l));
  }
  FEWBIT_TRY(make_tensor(node, DTypeOf<T>::value, out.dims));  // refuses what does not fit
  const Operand<T> left = reordered(a, joined({&batch, &rows, &summed}));
  const Operand<T> right = reordered(b, joined({&batch, &summed, &columns}));
  int64_t n_batch = 1, m = 1, n = 1, k = 1;
  for (Label l : batch) n_batch *= a.extent(l);
  for (Label l : rows) m *= a.extent(l);
  for (Label l : summed) k *= a.extent(l);
  for (Label l : columns) n *= b.extent(l);
  out.values.resize(static_cast<size_t>(n_batch * m * n));
  for (int64_t i = 0; i < n_batch; ++i) {
    matrix_product(m, n, k, left.values.data() + i * m * k, right.values.data() + i * k * n,
                   out.values.data() + i * m * n);
  }
  return out;
}

struct Plan {
  std::vector<Labels> inputs;
  Labels output;
};

Labels implicit_output(const std::vector<Labels>& inputs, int64_t ellipsis_rank) {
  Labels output;
  for (int64_t e = 0; e < ellipsis_rank; ++e) output.push_back(kEllipsis + static_cast<Label>(e));
  std::map<Label, int> count;
  for (const Labels& labels : inputs) {
    for (Label l : labels) ++count[l];
  }
  for (const auto& [label, times] : count) {
    if (label < kEllipsis && times == 1) output.push_back(label);
  }
  return output;
}

/// Extents agree for each label (1 repeats), and the output names only known ones.
Status check_extents(OpContext& ctx, const Plan& plan) {
  const Node& node = ctx.node();
  std::map<Label, int64_t> extents;
  for (size_t i = 0; i < plan.inputs.size(); ++i) {
    std::map<Label, int64_t> own;
    for (size_t d = 0; d < plan.inputs[i].size(); ++d) {
      const int64_t extent = ctx.in(i).dims()[d];
      const Label label = plan.inputs[i][d];
      auto [diagonal, fresh] = own.try_emplace(label, extent);
      int64_t& known = extents.try_emplace(label, extent).first->second;
      if (known == 1) known = extent;
      if (diagonal->second != extent || (extent != 1 && extent != known)) {
        return node_error(node, "input {} of shape {} disagrees on an index of extent {}", i,
                          to_string(ctx.in(i).dims()), known);
      }
    }
  }
  for (size_t i = 0; i < plan.output.size(); ++i) {
    if (!extents.contains(plan.output[i])) {
      return node_error(node, "an output index appears in no input");
    }
    if (std::count(plan.output.begin(), plan.output.end(), plan.output[i]) > 1) {
      return node_error(node, "an output index appears twice");
    }
  }
  return {};
}

Result<Plan> make_plan(OpContext& ctx) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Equation eq, split_equation(node));
  if (eq.terms.size() != ctx.input_count()) {
    return node_error(node, "the equation has {} terms for {} inputs", eq.terms.size(),
                      ctx.input_count());
  }
  Plan plan;
  int64_t ellipsis_rank = -1;
  for (size_t i = 0; i < eq.terms.size(); ++i) {
    const int64_t rank = ctx.in(i).rank();
    const bool has_ellipsis = eq.terms[i].find("...") != std::string::npos;
    const int64_t letters = static_cast<int64_t>(eq.terms[i].size()) - (has_ellipsis ? 3 : 0);
    if (has_ellipsis ? letters > rank : letters != rank) {
      return node_error(node, "term '{}' does not fit input {} of shape {}", eq.terms[i], i,
                        to_string(ctx.in(i).dims()));
    }
    FEWBIT_ASSIGN(Labels labels, parse_term(node, eq.terms[i], rank - letters));
    if (static_cast<int64_t>(labels.size()) != rank) {
      return node_error(node, "term '{}' has more than one ellipsis", eq.terms[i]);
    }
    plan.inputs.push_back(std::move(labels));
    if (!has_ellipsis) continue;
    if (ellipsis_rank >= 0 && ellipsis_rank != rank - letters) {
      return node_error(node, "the ellipses stand for different numbers of dimensions");
    }
    ellipsis_rank = rank - letters;
  }
  if (eq.explicit_output) {
    FEWBIT_ASSIGN(plan.output, parse_term(node, eq.output, std::max<int64_t>(ellipsis_rank, 0)));
  } else {
    plan.output = implicit_output(plan.inputs, std::max<int64_t>(ellipsis_rank, 0));
  }
  FEWBIT_TRY(check_extents(ctx, plan));
  return plan;
}

template <typename T>
Operand<T> load(const Tensor& x, const Labels& labels) {
  Labels unique;
  for (Label l : labels) {
    if (!contains(unique, l)) unique.push_back(l);
  }
  Operand<T> operand;
  operand.labels = unique;
  operand.values =
      gather(x.data<T>(), labels, x.dims(), strides_of(x.dims()), unique, &operand.dims);
  return operand;
}

Status einsum(OpContext& ctx) {
  FEWBIT_ASSIGN(Plan plan, make_plan(ctx));
  const DType type = ctx.in(0).type();
  for (size_t i = 1; i < ctx.input_count(); ++i) {
    if (ctx.in(i).type() != type) return node_error(ctx.node(), "inputs have different types");
  }
  return dispatch(ctx.node(), type, MatrixTypes{}, [&](auto tag) -> Status {
    using T = typename ProductType<typename decltype(tag)::type>::type;
    Operand<T> result = load<T>(ctx.in(0), plan.inputs[0]);
    for (size_t i = 1; i < plan.inputs.size(); ++i) {
      Labels keep = plan.output;
      for (size_t later = i + 1; later < plan.inputs.size(); ++later) {
        keep.insert(keep.end(), plan.inputs[later].begin(), plan.inputs[later].end());
      }
      FEWBIT_ASSIGN(result, contract(ctx.node(), result, load<T>(ctx.in(i), plan.inputs[i]), keep));
    }
    result = reordered(result, plan.output);
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, type, result.dims));
    std::copy(result.values.begin(), result.values.end(), out->data<T>());
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Einsum", 12, in_float<einsum>},
};

}  // namespace

std::span<const OpRow> einsum_table() {
  return kRows;
}

}  // namespace fewbit::ops
