// NonMaxSuppression: of overlapping boxes, those with the best score, per batch and class.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct Box {
  float x0, y0, x1, y1;
  float area() const { return (x1 - x0) * (y1 - y0); }
};

Box read_box(const float* b, bool center) {
  if (center) {  // [x, y, width, height]
    return {b[0] - b[2] / 2, b[1] - b[3] / 2, b[0] + b[2] / 2, b[1] + b[3] / 2};
  }
  // Two corners [y, x, y, x], in any order.
  return {std::min(b[1], b[3]), std::min(b[0], b[2]), std::max(b[1], b[3]), std::max(b[0], b[2])};
}

bool overlaps(const Box& a, const Box& b, float threshold) {
  const float w = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const float h = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (!(w > 0 && h > 0)) return false;
  const float both = w * h, either = a.area() + b.area() - both;
  if (!(a.area() > 0 && b.area() > 0 && either > 0)) return false;
  return both / either > threshold;
}

struct NmsProblem {
  int64_t batch, classes, boxes;
  int64_t most = 0;  ///< boxes kept per class
  float iou = 0;
  bool has_score = false;
  float score = 0;
  bool center = false;
};

Result<NmsProblem> read_nms(const OpContext& ctx) {
  const Node& node = ctx.node();
  const Dims &b = ctx.in(0).dims(), &s = ctx.in(1).dims();
  if (b.size() != 3 || s.size() != 3 || b[2] != 4 || b[0] != s[0] || b[1] != s[2]) {
    return node_error(node, "boxes {} and scores {} do not fit", to_string(b), to_string(s));
  }
  for (size_t i = 0; i < 2; ++i) {
    if (ctx.in(i).type() != DType::kFloat32) return type_error(node, ctx.in(i).type());
  }
  NmsProblem p{s[0], s[1], s[2]};
  const int64_t center = node.get_int("center_point_box", 0);
  if (center != 0 && center != 1) {
    return node_error(node, "center_point_box {} is neither 0 nor 1", center);
  }
  p.center = center == 1;
  if (ctx.has(2)) {
    FEWBIT_ASSIGN(p.most, read_int(node, ctx.in(2), "max_output_boxes_per_class"));
  }
  if (ctx.has(3)) {
    FEWBIT_ASSIGN(const double iou, read_number(node, ctx.in(3), "iou_threshold"));
    p.iou = static_cast<float>(iou);
  }
  if (!(p.iou >= 0 && p.iou <= 1))
    return node_error(node, "iou_threshold {} is not in [0, 1]", p.iou);
  if (ctx.has(4)) {
    FEWBIT_ASSIGN(const double score, read_number(node, ctx.in(4), "score_threshold"));
    p.has_score = true;
    p.score = static_cast<float>(score);
  }
  return p;
}

// Boxes kept of one class, best first; of equal scores the earlier box.
std::vector<int64_t> suppress(const NmsProblem& p, const float* boxes, const float* scores) {
  std::vector<int64_t> candidates;
  for (int64_t i = 0; i < p.boxes; ++i) {
    // A NaN has no place in an order.
    if (scores[i] == scores[i] && (!p.has_score || scores[i] > p.score)) candidates.push_back(i);
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [&](int64_t a, int64_t b) { return scores[a] > scores[b]; });
  std::vector<int64_t> kept;
  for (int64_t i : candidates) {
    if (static_cast<int64_t>(kept.size()) >= p.most) break;
    const Box box = read_box(boxes + i * 4, p.center);
    const bool hidden = std::any_of(kept.begin(), kept.end(), [&](int64_t k) {
      return overlaps(box, read_box(boxes + k * 4, p.center), p.iou);
    });
    if (!hidden) kept.push_back(i);
  }
  return kept;
}

Status non_max_suppression(OpContext& ctx) {
  FEWBIT_ASSIGN(const NmsProblem p, read_nms(ctx));
  std::vector<int64_t> rows;
  for (int64_t b = 0; b < p.batch; ++b) {
    for (int64_t c = 0; c < p.classes; ++c) {
      const auto kept = suppress(p, ctx.in(0).data<float>() + b * p.boxes * 4,
                                 ctx.in(1).data<float>() + (b * p.classes + c) * p.boxes);
      for (int64_t i : kept) rows.insert(rows.end(), {b, c, i});
    }
  }
  const auto count = static_cast<int64_t>(rows.size()) / 3;
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, DType::kInt64, {count, 3}));
  std::copy(rows.begin(), rows.end(), out->data<int64_t>());
  return {};
}

constexpr OpRow kRows[] = {
    {"", "NonMaxSuppression", 10, non_max_suppression},
};

}  // namespace

std::span<const OpRow> detection_table() {
  return kRows;
}

}  // namespace fewbit::ops
