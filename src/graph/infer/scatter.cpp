// Operators that write into, reorder or mask a tensor and keep its shape.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

Status scatter_elements(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, kIndices));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  if (c.rank(0) >= 0) {
    FEWBIT_TRY(c.check_rank(1, c.rank(0)));
    FEWBIT_TRY(c.check_rank(2, c.rank(0)));
    FEWBIT_TRY(c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
  }
  c.set_type(0, c.type(0));
  return {};
}

Status scatter_nd(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_min_rank(1, 1));
  c.set_type(0, c.type(0));
  return {};
}

// past_cache and update differ along `axis` only.
Status tensor_scatter(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 1));
  if (c.rank(0) >= 0) {
    FEWBIT_TRY(c.check_rank(1, c.rank(0)));
    FEWBIT_TRY(c.normalize_axis(c.node().get_int("axis", -2), c.rank(0)));
  }
  c.set_type(0, c.type(0));
  return {};
}

Status reverse_sequence(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_TRY(c.check_rank(1, 1));
  c.set_type(0, c.type(0));
  return {};
}

Status trilu(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_TRY(check_one_element(c, 1));
  c.set_type(0, c.type(0));
  return {};
}

Status cumulative(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  FEWBIT_TRY(c.check_elem(1, kIndices));
  auto axis = c.int_scalar(1);
  if (axis && c.rank(0) >= 0) FEWBIT_TRY(c.normalize_axis(*axis, c.rank(0), "the axis"));
  c.set_type(0, c.type(0));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "CumProd", 26, 2, 2, 1, 1, cumulative},
    {"", "CumSum", 11, 2, 2, 1, 1, cumulative},
    {"", "ReverseSequence", 10, 2, 2, 1, 1, reverse_sequence},
    {"", "Scatter", 9, 3, 3, 1, 1, scatter_elements},
    {"", "ScatterElements", 11, 3, 3, 1, 1, scatter_elements},
    {"", "ScatterND", 11, 3, 3, 1, 1, scatter_nd},
    {"", "TensorScatter", 24, 2, 3, 1, 1, tensor_scatter},
    {"", "Trilu", 14, 1, 2, 1, 1, trilu},
};

}  // namespace

std::span<const SchemaRow> scatter_rows() {
  return kRows;
}

}  // namespace fewbit::infer
