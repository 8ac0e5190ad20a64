// Operators that change the extent of axes: Resize, Upsample, Pad, CenterCropPad, DepthToSpace,
// SpaceToDepth, Col2Im.

#include <algorithm>
#include <cmath>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

// floor(size * scale), in float32 as every implementation of the standard computes it.
Dim scaled(const Dim& d, double scale) {
  if (scale == 1.0) return d;
  if (!d.known()) return {};
  float out = std::floor(static_cast<float>(d.value) * static_cast<float>(scale));
  return out >= 0 && out < 9e18F ? Dim::of(static_cast<int64_t>(out)) : Dim{};
}

Status apply_scales(const InferContext& c, const std::vector<double>& scales,
                    const std::vector<size_t>& axes, Shape& out) {
  if (scales.size() != axes.size()) {
    return bad_input("there are {} scales for {} axes", scales.size(), axes.size());
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    if (!(scales[i] > 0)) {
      return bad_input("the scale of axis {} is {}, expected a positive number", axes[i],
                       scales[i]);
    }
    out[axes[i]] = scaled((*c.shape(0))[axes[i]], scales[i]);
  }
  return {};
}

// keep_aspect_ratio_policy: one scale for all axes, the smallest ("not_larger") or the largest
// ("not_smaller") of those asked for; sizes are rounded half up.
void keep_aspect_ratio(const Shape& in, const std::vector<size_t>& axes, bool smallest,
                       Shape& out) {
  float scale = smallest ? INFINITY : 0.0F;
  for (size_t axis : axes) {
    bool known = in[axis].known() && in[axis].value > 0 && out[axis].known();
    if (!known) {
      for (size_t a : axes) out[a] = Dim{};
      return;
    }
    float asked = static_cast<float>(out[axis].value) / static_cast<float>(in[axis].value);
    scale = smallest ? std::min(scale, asked) : std::max(scale, asked);
  }
  for (size_t axis : axes) {
    float size = std::floor(scale * static_cast<float>(in[axis].value) + 0.5F);
    out[axis] = size < 9e18F ? Dim::of(static_cast<int64_t>(size)) : Dim{};
  }
}

Result<std::vector<size_t>> resized_axes(const InferContext& c) {
  auto rank = c.rank(0);
  std::vector<int64_t> axes;
  if (c.node().has("axes")) {
    FEWBIT_ASSIGN(axes, c.required_ints("axes"));
    FEWBIT_ASSIGN(axes, c.normalize_axes(std::move(axes), rank));
  } else {
    for (int64_t i = 0; i < rank; ++i) axes.push_back(i);
  }
  return std::vector<size_t>(axes.begin(), axes.end());
}

// An input that is given but empty counts as left out (exporters do that for scales and roi).
bool has_elements(const InferContext& c, size_t i) {
  if (!c.has(i)) return false;
  const Shape* s = c.shape(i);
  return s == nullptr || s->size() != 1 || s->front() != Dim::of(0);
}

Status resize_by_sizes(InferContext& c, const std::vector<size_t>& axes, Shape& out) {
  FEWBIT_ASSIGN(std::optional<Shape> sizes, shape_from_input(c, 3));
  if (sizes && sizes->size() != axes.size()) {
    return c.fail(3, "{} sizes, one for each resized axis", axes.size());
  }
  for (size_t i = 0; i < axes.size(); ++i) out[axes[i]] = sizes ? (*sizes)[i] : Dim{};
  std::string policy = c.node().get_string("keep_aspect_ratio_policy", "stretch");
  if (policy != "stretch") keep_aspect_ratio(*c.shape(0), axes, policy == "not_larger", out);
  return {};
}

Status resize(InferContext& c) {
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  Shape out = *s;
  FEWBIT_ASSIGN(std::vector<size_t> axes, resized_axes(c));
  size_t scales_input = c.opset() < 11 ? 1 : 2;
  if (c.opset() >= 11 && has_elements(c, 3)) {
    FEWBIT_TRY(resize_by_sizes(c, axes, out));
  } else if (auto scales = c.reals(scales_input)) {
    FEWBIT_TRY(apply_scales(c, *scales, axes, out));
  } else {
    for (size_t axis : axes) out[axis] = Dim{};
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status upsample(InferContext& c) {
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    std::optional<std::vector<double>> scales;
    if (c.opset() >= 9) {
      scales = c.reals(1);
    } else if (const auto* list = c.node().get<std::vector<float>>("scales")) {
      scales.emplace(list->begin(), list->end());
    } else {
      return bad_input("attribute 'scales' is missing, expected a list of numbers");
    }
    FEWBIT_ASSIGN(std::vector<size_t> axes, resized_axes(c));
    if (scales) {
      FEWBIT_TRY(apply_scales(c, *scales, axes, *out));
    } else {
      out = unknown_shape(out->size());
    }
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

struct Pads {
  std::optional<std::vector<PartialElement>> values;
  std::vector<size_t> axes;
};

Result<Pads> read_pads(const InferContext& c) {
  Pads pads;
  for (size_t i = 0; i < static_cast<size_t>(c.rank(0)); ++i) pads.axes.push_back(i);
  if (c.opset() < 11) {
    FEWBIT_ASSIGN(std::vector<int64_t> list, c.required_ints("pads"));
    pads.values.emplace();
    for (int64_t v : list) pads.values->push_back(PartialElement::of(v));
    return pads;
  }
  if (const PartialValue* v = c.value(1)) pads.values = v->elements;
  if (c.has(3)) {
    auto axes = c.ints(3);
    if (!axes) {
      pads.values.reset();
      return pads;
    }
    FEWBIT_ASSIGN(axes, c.normalize_axes(*axes, c.rank(0)));
    pads.axes.assign(axes->begin(), axes->end());
  }
  return pads;
}

Dim padded(const Dim& d, const PartialElement& before, const PartialElement& after) {
  if (!before.is_int() || !after.is_int()) return {};
  auto pad = checked_add(before.integer, after.integer);
  if (!pad) return {};
  if (*pad == 0) return d;
  return d.known() ? dim_or_unknown(checked_add(d.value, *pad)) : Dim{};
}

Status pad(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  FEWBIT_ASSIGN(Pads pads, read_pads(c));
  Shape out = *s;
  size_t n = pads.axes.size();
  if (!pads.values) {
    out = unknown_shape(s->size());
  } else if (pads.values->size() != 2 * n) {
    return bad_input("pads has {} elements, expected {} (two for each of {} axes)",
                     pads.values->size(), 2 * n, n);
  } else {
    for (size_t i = 0; i < n; ++i) {
      Dim& d = out[pads.axes[i]];
      const PartialElement& before = (*pads.values)[i];
      const PartialElement& after = (*pads.values)[n + i];
      bool numbers = d.known() && before.is_int() && after.is_int();
      Dim next = padded(d, before, after);
      if (numbers && !next.known()) {
        return c.fail(0, "dimension {} to be at least what pads {} and {} take away", pads.axes[i],
                      before.integer, after.integer);
      }
      d = next;
    }
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status center_crop_pad(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> target, shape_from_input(c, 1));
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    FEWBIT_ASSIGN(std::vector<size_t> axes, resized_axes(c));
    if (target && target->size() != axes.size()) {
      return c.fail(1, "{} sizes, one for each axis", axes.size());
    }
    for (size_t i = 0; i < axes.size(); ++i) (*out)[axes[i]] = target ? (*target)[i] : Dim{};
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Result<int64_t> block_size(const InferContext& c) {
  FEWBIT_ASSIGN(int64_t block, c.required_int("blocksize"));
  if (block < 1 || block > INT32_MAX) {
    return bad_input("blocksize is {}, expected a positive number", block);
  }
  return block;
}

Result<Dim> quotient(const InferContext& c, size_t axis, int64_t divisor) {
  const Dim& d = (*c.shape(0))[axis];
  if (d.known() && d.value % divisor != 0) {
    return c.fail(0, "dimension {} to be a multiple of {}", axis, divisor);
  }
  return div_exact(d, Dim::of(divisor));
}

Status depth_to_space(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 4));
  FEWBIT_ASSIGN(int64_t block, block_size(c));
  const Shape* s = c.shape(0);
  Shape out(4);
  if (s != nullptr) {
    FEWBIT_ASSIGN(Dim channels, quotient(c, 1, block * block));
    out = {(*s)[0], channels, mul((*s)[2], Dim::of(block)), mul((*s)[3], Dim::of(block))};
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status space_to_depth(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 4));
  FEWBIT_ASSIGN(int64_t block, block_size(c));
  const Shape* s = c.shape(0);
  Shape out(4);
  if (s != nullptr) {
    FEWBIT_ASSIGN(Dim height, quotient(c, 2, block));
    FEWBIT_ASSIGN(Dim width, quotient(c, 3, block));
    out = {(*s)[0], mul((*s)[1], Dim::of(block * block)), height, width};
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// [N, C * product(block_shape), L] -> [N, C, image_shape...]
Status col_to_im(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 3));
  FEWBIT_ASSIGN(std::optional<Shape> image, shape_from_input(c, 1));
  FEWBIT_ASSIGN(std::optional<Shape> block, shape_from_input(c, 2));
  if (!image) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  Shape out(2);
  if (const Shape* s = c.shape(0)) {
    out[0] = (*s)[0];
    if (block) out[1] = divide(product_of(std::span(*s).subspan(1, 1)), product_of(*block));
  }
  out.insert(out.end(), image->begin(), image->end());
  c.set(0, c.elem(0), std::move(out));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "CenterCropPad", 18, 2, 2, 1, 1, center_crop_pad},
    {"", "Col2Im", 18, 3, 3, 1, 1, col_to_im},
    {"", "DepthToSpace", 1, 1, 1, 1, 1, depth_to_space},
    {"", "Pad", 2, 1, 1, 1, 1, pad},
    {"", "Pad", 11, 2, 3, 1, 1, pad},
    {"", "Pad", 18, 2, 4, 1, 1, pad},
    {"", "Resize", 10, 2, 2, 1, 1, resize},
    {"", "Resize", 11, 3, 4, 1, 1, resize, false, 0b110},
    {"", "Resize", 13, 1, 4, 1, 1, resize},
    {"", "SpaceToDepth", 1, 1, 1, 1, 1, space_to_depth},
    {"", "Upsample", 7, 1, 1, 1, 1, upsample},
    {"", "Upsample", 9, 2, 2, 1, 1, upsample},
};

}  // namespace

std::span<const SchemaRow> resize_rows() {
  return kRows;
}

}  // namespace fewbit::infer
