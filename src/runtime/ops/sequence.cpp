// Sequences and optionals.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/rearrange.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

using Items = std::vector<RuntimeValue>;

Result<Items> sequence_input(OpContext& ctx) {
  if (!ctx.has(0) || !ctx.in_value(0).is_sequence()) {
    return node_error(ctx.node(), "the first input is no sequence");
  }
  return ctx.in_value(0).items();
}

// Input i as a position among n places; negative ones count from the back.
Result<int64_t> position(OpContext& ctx, size_t i, int64_t n) {
  FEWBIT_ASSIGN(int64_t p, read_int(ctx.node(), ctx.in(i), "position"));
  return normalize_axis(ctx.node(), p, n);
}

Status sequence_construct(OpContext& ctx) {
  Items items;
  for (size_t i = 0; i < ctx.input_count(); ++i) {
    if (ctx.in(i).type() != ctx.in(0).type()) {
      return node_error(ctx.node(), "inputs have different types, {} and {}",
                        name_of(ctx.in(0).type()), name_of(ctx.in(i).type()));
    }
    items.push_back(ctx.in_value(i));
  }
  ctx.set_out(0, RuntimeValue::sequence(std::move(items)));
  return {};
}

Status sequence_empty(OpContext& ctx) {
  ctx.set_out(0, RuntimeValue::sequence({}));
  return {};
}

Status sequence_length(OpContext& ctx) {
  FEWBIT_ASSIGN(Items items, sequence_input(ctx));
  ctx.set_out(0, Tensor::scalar(static_cast<int64_t>(items.size())));
  return {};
}

Status sequence_at(OpContext& ctx) {
  FEWBIT_ASSIGN(Items items, sequence_input(ctx));
  FEWBIT_ASSIGN(int64_t at, position(ctx, 1, static_cast<int64_t>(items.size())));
  ctx.set_out(0, items[static_cast<size_t>(at)]);
  return {};
}

Status sequence_insert(OpContext& ctx) {
  FEWBIT_ASSIGN(Items items, sequence_input(ctx));
  const auto n = static_cast<int64_t>(items.size());
  int64_t at = n;
  if (ctx.has(2)) {
    FEWBIT_ASSIGN(at, read_int(ctx.node(), ctx.in(2), "position"));
    if (at < -n || at > n) {
      return node_error(ctx.node(), "position {} is out of range for a sequence of {}", at, n);
    }
    if (at < 0) at += n;
  }
  items.insert(items.begin() + at, ctx.in_value(1));
  ctx.set_out(0, RuntimeValue::sequence(std::move(items)));
  return {};
}

Status sequence_erase(OpContext& ctx) {
  FEWBIT_ASSIGN(Items items, sequence_input(ctx));
  const auto n = static_cast<int64_t>(items.size());
  if (n == 0) return node_error(ctx.node(), "the sequence is empty");
  int64_t at = n - 1;
  if (ctx.has(1)) {
    FEWBIT_ASSIGN(at, position(ctx, 1, n));
  }
  items.erase(items.begin() + at);
  ctx.set_out(0, RuntimeValue::sequence(std::move(items)));
  return {};
}

// Without lengths every slice is one element long (and keepdims says whether the axis stays); a
// scalar is the length of all but the last; a vector gives each.
Result<std::vector<int64_t>> part_lengths(OpContext& ctx, int64_t extent) {
  const Node& node = ctx.node();
  // An empty tensor may have an axis of any length: no sequence is that long.
  if (extent > (int64_t{1} << 31)) return node_error(node, "axis of {} is too long", extent);
  if (!ctx.has(1)) return std::vector<int64_t>(static_cast<size_t>(extent), 1);
  const Tensor& split = ctx.in(1);
  FEWBIT_ASSIGN(std::vector<int64_t> lengths, read_ints(node, split, "split"));
  if (split.rank() == 0) {
    const int64_t chunk = lengths[0];
    if (chunk <= 0) return node_error(node, "split {} is not positive", chunk);
    lengths.clear();
    for (int64_t at = 0; at < extent; at += std::min(chunk, extent - at)) {
      lengths.push_back(std::min(chunk, extent - at));
    }
    return lengths;
  }
  int64_t left = extent;
  for (int64_t n : lengths) {
    if (n < 0 || n > left) return node_error(node, "split {} does not fit", to_string(lengths));
    left -= n;
  }
  if (left != 0) {
    return node_error(node, "split {} leaves {} of {}", to_string(lengths), left, extent);
  }
  return lengths;
}

Status split_to_sequence(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  FEWBIT_ASSIGN(std::vector<int64_t> lengths, part_lengths(ctx, x.dim(axis)));
  const bool drop_axis = !ctx.has(1) && node.get_int("keepdims", 1) == 0;
  const Dims strides = strides_of(x.dims());
  Items items;
  FEWBIT_TRY(dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    int64_t at = 0;
    for (int64_t n : lengths) {
      Dims dims = x.dims();
      dims[static_cast<size_t>(axis)] = n;
      Tensor part = Tensor::uninitialized(x.type(), dims);
      read_strided(elements<T>(x) + at * strides[static_cast<size_t>(axis)], dims, strides,
                   elements<T>(part));
      at += n;
      if (drop_axis) {
        dims.erase(dims.begin() + axis);
        part = part.reshaped(dims);
      }
      items.emplace_back(std::move(part));
    }
    return {};
  }));
  ctx.set_out(0, RuntimeValue::sequence(std::move(items)));
  return {};
}

Status concat_from_sequence(OpContext& ctx) {
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Items items, sequence_input(ctx));
  const bool new_axis = node.get_int("new_axis", 0) != 0;
  int64_t axis = node.get_int("axis", 0);
  std::vector<Tensor> parts;
  for (const RuntimeValue& item : items) {
    if (!item.is_tensor()) return node_error(node, "an item of the sequence is no tensor");
    parts.push_back(item.tensor());
  }
  if (new_axis && !parts.empty()) {
    FEWBIT_ASSIGN(axis, normalize_axis(node, axis, parts[0].rank() + 1));
    for (Tensor& part : parts) {
      Dims dims = part.dims();
      if (part.rank() < axis) return node_error(node, "items differ in rank");
      dims.insert(dims.begin() + axis, 1);
      part = part.reshaped(dims);
    }
  }
  return concat_into(ctx, parts, axis);
}

// ---- optionals: an empty RuntimeValue is one without an element

Status optional(OpContext& ctx) {
  if (ctx.has(0)) ctx.set_out(0, ctx.in_value(0));
  return {};
}

Status optional_has_element(OpContext& ctx) {
  ctx.set_out(0, Tensor::scalar<bool>(ctx.has(0)));
  return {};
}

Status optional_get_element(OpContext& ctx) {
  if (!ctx.has(0)) return node_error(ctx.node(), "the optional is empty");
  ctx.set_out(0, ctx.in_value(0));
  return {};
}

constexpr OpRow kRows[] = {
    {"", "SequenceConstruct", 11, sequence_construct},
    {"", "SequenceEmpty", 11, sequence_empty},
    {"", "SequenceLength", 11, sequence_length},
    {"", "SequenceAt", 11, sequence_at},
    {"", "SequenceInsert", 11, sequence_insert},
    {"", "SequenceErase", 11, sequence_erase},
    {"", "SplitToSequence", 11, split_to_sequence},
    {"", "ConcatFromSequence", 11, concat_from_sequence},
    {"", "Optional", 15, optional},
    {"", "OptionalHasElement", 15, optional_has_element},
    {"", "OptionalGetElement", 15, optional_get_element},
};

}  // namespace

std::span<const OpRow> sequence_table() {
  return kRows;
}

}  // namespace fewbit::ops
