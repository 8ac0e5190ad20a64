// Operators that move elements: Concat (with or without scales), Transpose, Slice, Pad.

#include <algorithm>
#include <cstring>

#include "kernels/pointwise/move/move.h"
#include "runtime/lower/call_step.h"
#include "runtime/lower/qparams.h"
#include "runtime/lower/tables.h"

namespace fewbit::lower {
namespace {

struct ConcatPart {
  SlotId slot;
  int64_t row_bytes;
  bool mapped;
  pointwise::Lut lut;
};

// Joins along `axis`; in memory this is rows of several strides next to each other.
bool add_concat(Lowering& lowering, const Node& node, const std::vector<ValueId>& inputs,
                int64_t axis, const std::vector<std::optional<pointwise::Lut>>& tables) {
  ValueId out_value = node.output(0);
  const Dims& out = lowering.dims(out_value);
  auto rank = static_cast<int64_t>(out.size());
  if (axis < 0) axis += rank;
  int element_bytes = bits_of(lowering.type(out_value)) / 8;
  if (element_bytes == 0 || elements_of(out) == 0) return false;
  Layout layout = Layout::kPlain;
  for (ValueId in : inputs) {
    if (kept_layout(lowering, in) == Layout::kChannelsLast) layout = Layout::kChannelsLast;
  }
  int64_t memory_axis = axis;
  if (layout == Layout::kChannelsLast && axis >= 1) memory_axis = axis == 1 ? rank - 1 : axis - 1;
  Dims out_memory = memory_dims(out, layout);
  int64_t outer = 1;
  for (int64_t i = 0; i < memory_axis; ++i) outer *= out_memory[static_cast<size_t>(i)];
  int64_t out_row_bytes = elements_of(out) / outer * element_bytes;
  std::vector<ConcatPart> parts;
  std::vector<SlotId> reads;
  for (size_t i = 0; i < inputs.size(); ++i) {
    ConcatPart part{lowering.use(inputs[i], layout),
                    elements_of(lowering.dims(inputs[i])) / outer * element_bytes,
                    tables[i].has_value(), tables[i].value_or(pointwise::Lut{})};
    reads.push_back(part.slot);
    if (part.row_bytes > 0) parts.push_back(part);
  }
  SlotId target = lowering.define(out_value, layout);
  lowering.add(call_step("pointwise/concat", reads, {target},
                         [=](Frame& f) -> Status {
                           auto* to = f.out<std::byte>(target);
                           for (const ConcatPart& p : parts) {
                             if (p.mapped) {
                               pointwise::map_rows(f.in(p.slot), p.row_bytes, to, out_row_bytes,
                                                   outer, p.row_bytes, p.lut);
                             } else {
                               pointwise::copy_rows(f.in(p.slot), p.row_bytes, to, out_row_bytes,
                                                    outer, p.row_bytes);
                             }
                             to += p.row_bytes;
                           }
                           return {};
                         }),
               node);
  return true;
}

Result<bool> lower_concat(Lowering& lowering, const Node& node) {
  if (lowering.type(node.output(0)) == DType::kString) return false;
  std::vector<std::optional<pointwise::Lut>> tables(node.inputs.size());
  return add_concat(lowering, node, node.inputs, node.get_int("axis", 0), tables);
}

// (y scale, y zero, then x, scale, zero for each input)
Result<bool> lower_quantized_concat(Lowering& lowering, const Node& node) {
  DType type = lowering.type(node.output(0));
  auto py = operand_params(lowering, node, 0, 1, type);
  if (!py || !py->is_8bit()) return false;
  std::vector<ValueId> inputs;
  std::vector<std::optional<pointwise::Lut>> tables;
  for (size_t i = 2; i + 2 < node.inputs.size(); i += 3) {
    DType in_type = lowering.type(node.input(i));
    auto px = operand_params(lowering, node, i + 1, i + 2, in_type);
    if (!px || !px->is_8bit()) return false;
    inputs.push_back(node.input(i));
    tables.emplace_back();
    if (in_type != type || px->scale != py->scale || px->zero != py->zero) {
      tables.back() = pointwise::requantize_lut(in_type, {px->scale[0], px->zero[0]}, type,
                                                {py->scale[0], py->zero[0]});
    }
  }
  return add_concat(lowering, node, inputs, node.get_int("axis", 1), tables);
}

Result<bool> lower_transpose(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  const Dims dims = lowering.dims(x);
  int element_bytes = bits_of(lowering.type(x)) / 8;
  if (element_bytes == 0 || element_bytes > 8 || dims.empty()) return false;
  std::vector<int64_t> perm = node.get_ints("perm");
  if (perm.empty()) {
    for (size_t i = dims.size(); i-- > 0;) perm.push_back(static_cast<int64_t>(i));
  }
  for (int64_t& p : perm) p = p < 0 ? p + static_cast<int64_t>(dims.size()) : p;
  SlotId in = lowering.use(x, Layout::kPlain);
  SlotId out = lowering.define(node.output(0), Layout::kPlain);
  lowering.add(call_step("pointwise/transpose", {in}, {out},
                         [=](Frame& f) -> Status {
                           return pointwise::transpose(f.in(in), f.out(out), element_bytes, dims,
                                                       perm);
                         }),
               node);
  return true;
}

std::optional<std::vector<int64_t>> integers(const Graph& graph, ValueId value) {
  const Tensor* t = graph.constant(value);
  if (t == nullptr) return std::nullopt;
  std::vector<int64_t> out;
  for (int64_t i = 0; i < t->elements(); ++i) {
    if (t->type() == DType::kInt64) {
      out.push_back(t->data<int64_t>()[i]);
    } else if (t->type() == DType::kInt32) {
      out.push_back(t->data<int32_t>()[i]);
    } else {
      return std::nullopt;
    }
  }
  return out;
}

std::vector<int64_t> strides_of(const Dims& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strides;
}

// A copy of a box between two dense tensors. Logical quantities; `layout` of both.
struct Box {
  std::vector<int64_t> extents, source_strides, target_strides;
  int64_t source_offset = 0, target_offset = 0;
};

std::vector<int64_t> logical_strides(const Dims& dims, Layout layout) {
  std::vector<int64_t> memory = strides_of(memory_dims(dims, layout));
  if (layout == Layout::kPlain || dims.size() < 3) return memory;
  std::vector<int64_t> out{memory[0], memory.back()};
  out.insert(out.end(), memory.begin() + 1, memory.end() - 1);
  return out;
}

// Dimensions in memory order: the last one contiguous.
Box in_memory_order(const Box& box, Layout layout) {
  Box out = box;
  out.extents = memory_dims(box.extents, layout);
  out.source_strides = memory_dims(box.source_strides, layout);
  out.target_strides = memory_dims(box.target_strides, layout);
  return out;
}

Result<bool> lower_slice(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  const Dims& dims = lowering.dims(x);
  int element_bytes = bits_of(lowering.type(x)) / 8;
  if (element_bytes == 0 || element_bytes > 8 || node.opset < 10 || dims.empty()) return false;
  auto starts = integers(lowering.graph(), node.input(1));
  auto ends = integers(lowering.graph(), node.input(2));
  if (!starts || !ends) return false;
  std::vector<int64_t> axes(starts->size());
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
  std::vector<int64_t> steps(starts->size(), 1);
  if (node.input(3) != kNone) {
    auto given = integers(lowering.graph(), node.input(3));
    if (!given) return false;
    axes = *given;
  }
  if (node.input(4) != kNone) {
    auto given = integers(lowering.graph(), node.input(4));
    if (!given) return false;
    steps = *given;
  }
  const Dims& out = lowering.dims(node.output(0));
  if (elements_of(out) == 0) return false;
  Layout layout = kept_layout(lowering, x);
  Box box;
  box.extents = out;
  box.source_strides = logical_strides(dims, layout);
  box.target_strides = logical_strides(out, layout);
  for (size_t i = 0; i < axes.size(); ++i) {
    auto axis =
        static_cast<size_t>(axes[i] < 0 ? axes[i] + static_cast<int64_t>(dims.size()) : axes[i]);
    if (axis >= dims.size() || steps[i] == 0) return false;
    int64_t start = (*starts)[i] < 0 ? (*starts)[i] + dims[axis] : (*starts)[i];
    start = std::clamp<int64_t>(start, 0, steps[i] > 0 ? dims[axis] : dims[axis] - 1);
    box.source_offset += start * box.source_strides[axis];
    box.source_strides[axis] *= steps[i];
  }
  box = in_memory_order(box, layout);
  SlotId in = lowering.use(x, layout);
  SlotId target = lowering.define(node.output(0), layout);
  lowering.add(call_step("pointwise/slice", {in}, {target},
                         [=](Frame& f) -> Status {
                           return pointwise::copy_box(
                               f.in<std::byte>(in) + box.source_offset * element_bytes,
                               f.out(target), element_bytes, box.extents, box.source_strides,
                               box.target_strides);
                         }),
               node);
  return true;
}

Result<bool> lower_pad(Lowering& lowering, const Node& node) {
  ValueId x = node.input(0);
  const Dims& dims = lowering.dims(x);
  const Dims& out = lowering.dims(node.output(0));
  int element_bytes = bits_of(lowering.type(x)) / 8;
  if (element_bytes == 0 || element_bytes > 8 || node.opset < 11 || node.input(3) != kNone ||
      node.get_string("mode", "constant") != "constant" || dims.empty()) {
    return false;
  }
  auto pads = integers(lowering.graph(), node.input(1));
  if (!pads || pads->size() != 2 * dims.size()) return false;
  if (std::any_of(pads->begin(), pads->end(), [](int64_t p) { return p < 0; })) return false;
  std::array<std::byte, 8> value{};
  if (node.input(2) != kNone) {
    const Tensor* t = lowering.graph().constant(node.input(2));
    if (t == nullptr || t->elements() != 1 || t->type() != lowering.type(x)) return false;
    std::memcpy(value.data(), t->raw(), static_cast<size_t>(element_bytes));
  }
  if (elements_of(dims) == 0) return false;
  Layout layout = kept_layout(lowering, x);
  Box box;
  box.extents = dims;
  box.source_strides = logical_strides(dims, layout);
  box.target_strides = logical_strides(out, layout);
  for (size_t i = 0; i < dims.size(); ++i) box.target_offset += (*pads)[i] * box.target_strides[i];
  box = in_memory_order(box, layout);
  SlotId in = lowering.use(x, layout);
  SlotId target = lowering.define(node.output(0), layout);
  int64_t count = elements_of(out);
  lowering.add(call_step("pointwise/pad", {in}, {target},
                         [=](Frame& f) -> Status {
                           auto* to = f.out<std::byte>(target);
                           pointwise::fill(to, element_bytes, count, value.data());
                           return pointwise::copy_box(
                               f.in(in), to + box.target_offset * element_bytes, element_bytes,
                               box.extents, box.source_strides, box.target_strides);
                         }),
               node);
  return true;
}

constexpr LowerRow kRows[] = {
    {"", "Concat", lower_concat},
    {"com.microsoft", "QLinearConcat", lower_quantized_concat},
    {"", "Transpose", lower_transpose},
    {"", "Slice", lower_slice},
    {"", "Pad", lower_pad},
};

}  // namespace

std::span<const LowerRow> move_rows() {
  return kRows;
}

}  // namespace fewbit::lower
