#include "runtime/ops/broadcast.h"

#include <algorithm>
#include <string>

namespace fewbit::ops {

Result<Dims> broadcast_dims(const Node& node, const std::vector<Dims>& shapes) {
  size_t rank = 0;
  for (const Dims& s : shapes) rank = std::max(rank, s.size());
  Dims out(rank, 1);
  for (const Dims& s : shapes) {
    for (size_t i = 0; i < s.size(); ++i) {
      int64_t& d = out[rank - s.size() + i];
      if (s[i] == d || s[i] == 1) continue;
      if (d != 1) {
        std::string all;
        for (const Dims& each : shapes) all += (all.empty() ? "" : " and ") + to_string(each);
        return node_error(node, "shapes {} do not broadcast", all);
      }
      d = s[i];
    }
  }
  Result<int64_t> size = checked_elements(out, DType::kComplex128);
  if (!size.ok()) return std::move(size).error().with_context(node.label());
  return out;
}

Result<BroadcastPlan> plan_broadcast(const Node& node, const std::vector<Dims>& shapes) {
  FEWBIT_CHECK(shapes.size() <= kMaxBroadcastOperands, shapes.size());
  BroadcastPlan plan;
  plan.operand_count = shapes.size();
  FEWBIT_ASSIGN(plan.dims, broadcast_dims(node, shapes));
  const size_t rank = plan.dims.size();

  // Stride of each operand along each output axis; 0 where it is repeated.
  std::array<Dims, kMaxBroadcastOperands> strides;
  for (size_t k = 0; k < shapes.size(); ++k) {
    strides[k].assign(rank, 0);
    const Dims own = strides_of(shapes[k]);
    const size_t skip = rank - shapes[k].size();
    for (size_t i = 0; i < own.size(); ++i) {
      if (shapes[k][i] != 1) strides[k][skip + i] = own[i];
    }
  }

  // Axes of extent 1 vanish; an axis joins the one inside it if every operand continues over it.
  for (size_t axis = rank; axis-- > 0;) {
    const int64_t extent = plan.dims[axis];
    if (extent == 1) continue;
    bool joins = !plan.outer.empty();
    for (size_t k = 0; joins && k < shapes.size(); ++k) {
      joins = strides[k][axis] == plan.outer_strides[k].front() * plan.outer.front();
    }
    if (joins) {
      plan.outer.front() *= extent;
      continue;
    }
    plan.outer.insert(plan.outer.begin(), extent);
    for (size_t k = 0; k < shapes.size(); ++k) {
      plan.outer_strides[k].insert(plan.outer_strides[k].begin(), strides[k][axis]);
    }
  }
  if (!plan.outer.empty()) {
    plan.run = plan.outer.back();
    plan.outer.pop_back();
    for (size_t k = 0; k < shapes.size(); ++k) {
      plan.run_stride[k] = plan.outer_strides[k].back();
      plan.outer_strides[k].pop_back();
    }
  }
  return plan;
}

void broadcast_binary(const BroadcastPlan& plan, const Tensor& a, const Tensor& b, Tensor& out,
                      BinaryRun run) {
  const int64_t a_bytes = bytes_of(a.type(), 1);
  const int64_t b_bytes = bytes_of(b.type(), 1);
  const int64_t out_bytes = bytes_of(out.type(), 1);
  for_each_run(plan, [&](int64_t at, const auto& offsets, int64_t n) {
    run(a.raw() + offsets[0] * a_bytes, plan.run_stride[0], b.raw() + offsets[1] * b_bytes,
        plan.run_stride[1], out.raw() + at * out_bytes, n);
  });
}

}  // namespace fewbit::ops
