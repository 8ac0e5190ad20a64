#include <algorithm>
#include <limits>

#include "runtime/plan.h"

namespace fewbit {
namespace {

constexpr int64_t kAlign = 64;

struct Life {
  SlotId slot;
  int64_t bytes;
  int64_t first, last;  // steps, inclusive
};

SlotId root_of(const Plan& plan, SlotId slot) {
  while (plan.slots[static_cast<size_t>(slot)].kind == Slot::Kind::kAlias) {
    slot = plan.slots[static_cast<size_t>(slot)].alias_of;
  }
  return slot;
}

}  // namespace

void plan_memory(Plan& plan) {
  auto steps = static_cast<int64_t>(plan.steps.size());
  std::vector<int64_t> first(plan.slots.size(), std::numeric_limits<int64_t>::max());
  std::vector<int64_t> last(plan.slots.size(), -1);
  auto touch = [&](SlotId slot, int64_t step) {
    auto s = static_cast<size_t>(root_of(plan, slot));
    first[s] = std::min(first[s], step);
    last[s] = std::max(last[s], step);
  };
  for (int64_t i = 0; i < steps; ++i) {
    for (SlotId s : plan.steps[static_cast<size_t>(i)]->reads) touch(s, i);
    for (SlotId s : plan.steps[static_cast<size_t>(i)]->writes) touch(s, i);
    for (const Watched& w : plan.watched[static_cast<size_t>(i) + 1]) touch(w.slot, i);
  }
  for (SlotId s : plan.outputs) touch(s, steps);

  std::vector<Life> lives;
  plan.dead_after.assign(plan.steps.size(), {});
  plan.constant_bytes = 0;
  for (size_t s = 0; s < plan.slots.size(); ++s) {
    const Slot& slot = plan.slots[s];
    if (slot.kind == Slot::Kind::kConstant) plan.constant_bytes += slot.constant.bytes();
    if (last[s] < 0) continue;
    if (slot.kind == Slot::Kind::kArena) {
      int64_t bytes = (slot.bytes() + kAlign - 1) / kAlign * kAlign;
      lives.push_back({static_cast<SlotId>(s), bytes, first[s], last[s]});
    } else if (slot.kind == Slot::Kind::kDynamic && last[s] < steps) {
      plan.dead_after[static_cast<size_t>(last[s])].push_back(static_cast<SlotId>(s));
    }
  }
  std::sort(lives.begin(), lives.end(), [](const Life& a, const Life& b) {
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.slot < b.slot;
  });
  std::vector<Life> placed;
  plan.arena_bytes = 0;
  for (const Life& life : lives) {
    std::vector<std::pair<int64_t, int64_t>> taken;  // [begin, end) of slots alive at the same time
    for (const Life& other : placed) {
      if (other.first <= life.last && life.first <= other.last) {
        int64_t begin = plan.slots[static_cast<size_t>(other.slot)].offset;
        taken.emplace_back(begin, begin + other.bytes);
      }
    }
    std::sort(taken.begin(), taken.end());
    int64_t offset = 0;
    for (const auto& [begin, end] : taken) {
      if (offset + life.bytes <= begin) break;
      offset = std::max(offset, end);
    }
    plan.slots[static_cast<size_t>(life.slot)].offset = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + life.bytes);
    placed.push_back(life);
  }
}

}  // namespace fewbit
