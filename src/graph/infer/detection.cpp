// Regions of interest, sampling grids, non-maximum suppression, image decoding.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

// One row (batch, class, box) for each box that is kept.
Status non_max_suppression(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 3));
  FEWBIT_TRY(c.check_rank(1, 3));
  FEWBIT_TRY(c.check_dim(0, 2, Dim::of(4)));
  c.set(0, DType::kInt64, Shape{Dim{}, Dim::of(3)});
  return {};
}

// [rois, channels of X, height, width]
void set_pooled(InferContext& c, int64_t height, int64_t width) {
  Dim rois = c.has_shape(1) ? c.shape(1)->front() : Dim{};
  Dim channels = c.has_shape(0) ? (*c.shape(0))[1] : Dim{};
  c.set(0, c.elem(0), Shape{rois, channels, dim_or_unknown(height), dim_or_unknown(width)});
}

Status roi_align(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 4));
  FEWBIT_TRY(c.check_rank(1, 2));
  FEWBIT_TRY(c.check_dim(1, 1, Dim::of(4)));
  FEWBIT_TRY(c.check_rank(2, 1));
  FEWBIT_TRY(c.check_elem(2, types(DType::kInt64)));
  set_pooled(c, c.node().get_int("output_height", 1), c.node().get_int("output_width", 1));
  return {};
}

Status max_roi_pool(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 4));
  FEWBIT_TRY(c.check_rank(1, 2));
  FEWBIT_TRY(c.check_dim(1, 1, Dim::of(5)));
  FEWBIT_ASSIGN(std::vector<int64_t> pooled, c.required_ints("pooled_shape"));
  if (pooled.size() != 2) {
    return bad_input("pooled_shape is {}, expected 2 numbers", to_string(pooled));
  }
  set_pooled(c, pooled[0], pooled[1]);
  return {};
}

// X [N, C, spatial...], grid [N, spatial of the output..., number of spatial axes]
Status grid_sample(InferContext& c) {
  if (c.rank(0) >= 0) FEWBIT_TRY(c.check_rank(1, c.rank(0)));
  const Shape* x = c.shape(0);
  const Shape* grid = c.shape(1);
  if (x != nullptr) FEWBIT_TRY(c.check_min_rank(0, 3));
  if (grid != nullptr) FEWBIT_TRY(c.check_min_rank(1, 3));
  std::optional<Shape> out;
  if (grid != nullptr) {
    out = Shape{(*grid)[0], x == nullptr ? Dim{} : (*x)[1]};
    if (x != nullptr) (*out)[0] = more_precise((*x)[0], (*grid)[0]);
    out->insert(out->end(), grid->begin() + 1, grid->end() - 1);
  } else if (x != nullptr) {
    out = unknown_shape(x->size());
    (*out)[0] = (*x)[0];
    (*out)[1] = (*x)[1];
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// size [N, C, H, W] -> [N, H, W, 2]; one axis more for volumes.
Status affine_grid(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 3));
  FEWBIT_ASSIGN(std::optional<Shape> size, shape_from_input(c, 1));
  if (!size) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  if (size->size() != 4 && size->size() != 5) return c.fail(1, "4 or 5 sizes");
  Shape out = *size;
  out.erase(out.begin() + 1);
  out.push_back(Dim::of(static_cast<int64_t>(size->size()) - 2));
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status image_decoder(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, types(DType::kUint8)));
  FEWBIT_TRY(c.check_rank(0, 1));
  bool gray = c.node().get_string("pixel_format", "RGB") == "Grayscale";
  c.set(0, DType::kUint8, Shape{Dim{}, Dim{}, Dim::of(gray ? 1 : 3)});
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "AffineGrid", 20, 2, 2, 1, 1, affine_grid},
    {"", "GridSample", 16, 2, 2, 1, 1, grid_sample},
    {"", "ImageDecoder", 20, 1, 1, 1, 1, image_decoder},
    {"", "MaxRoiPool", 1, 2, 2, 1, 1, max_roi_pool},
    {"", "NonMaxSuppression", 10, 2, 5, 1, 1, non_max_suppression},
    {"", "RoiAlign", 10, 3, 3, 1, 1, roi_align},
};

}  // namespace

std::span<const SchemaRow> detection_rows() {
  return kRows;
}

}  // namespace fewbit::infer
