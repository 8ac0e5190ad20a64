#include <gtest/gtest.h>

#include <limits>

#include "base/random.h"
#include "runtime/plan.h"

namespace fewbit {
namespace {

class NoStep final : public Step {
 public:
  Status run(Frame&) override { return {}; }
};

SlotId add_slot(Plan& plan, Slot::Kind kind, int64_t bytes, SlotId alias_of = kNone) {
  Slot slot;
  slot.kind = kind;
  slot.type = DType::kUint8;
  slot.dims = {bytes};
  slot.alias_of = alias_of;
  plan.slots.push_back(slot);
  return static_cast<SlotId>(plan.slots.size() - 1);
}

void add_step(Plan& plan, std::vector<SlotId> reads, std::vector<SlotId> writes) {
  if (plan.watched.empty()) plan.watched.emplace_back();
  auto step = std::make_unique<NoStep>();
  step->reads = std::move(reads);
  step->writes = std::move(writes);
  plan.steps.push_back(std::move(step));
  plan.watched.emplace_back();
}

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

int64_t padded(const Slot& slot) {
  return (slot.bytes() + 63) / 64 * 64;
}

// When each slot holds something that is still needed, worked out here a second time: aliases pass
// their uses on to the slot whose bytes they are.
struct Interval {
  int64_t first = std::numeric_limits<int64_t>::max();
  int64_t last = -1;
};
std::vector<Interval> intervals_of(const Plan& plan) {
  std::vector<Interval> out(plan.slots.size());
  auto use = [&](SlotId s, int64_t step) {
    while (plan.slots[at(s)].kind == Slot::Kind::kAlias) s = plan.slots[at(s)].alias_of;
    out[at(s)].first = std::min(out[at(s)].first, step);
    out[at(s)].last = std::max(out[at(s)].last, step);
  };
  auto steps = static_cast<int64_t>(plan.steps.size());
  for (int64_t i = 0; i < steps; ++i) {
    for (SlotId s : plan.steps[at(i)]->reads) use(s, i);
    for (SlotId s : plan.steps[at(i)]->writes) use(s, i);
    for (const Watched& w : plan.watched[at(i + 1)]) use(w.slot, i);
  }
  for (SlotId s : plan.outputs) use(s, steps);
  return out;
}

void expect_disjoint(const Plan& plan) {
  std::vector<Interval> life = intervals_of(plan);
  int64_t sum = 0;
  for (size_t a = 0; a < plan.slots.size(); ++a) {
    if (plan.slots[a].kind != Slot::Kind::kArena || life[a].last < 0) continue;
    const Slot& x = plan.slots[a];
    sum += padded(x);
    ASSERT_GE(x.offset, 0) << a;
    ASSERT_EQ(x.offset % 64, 0) << a;
    ASSERT_LE(x.offset + x.bytes(), plan.arena_bytes) << a;
    for (size_t b = a + 1; b < plan.slots.size(); ++b) {
      const Slot& y = plan.slots[b];
      if (y.kind != Slot::Kind::kArena || life[b].last < 0) continue;
      bool together = life[a].first <= life[b].last && life[b].first <= life[a].last;
      bool apart = x.offset + x.bytes() <= y.offset || y.offset + y.bytes() <= x.offset;
      ASSERT_TRUE(!together || apart || x.bytes() == 0 || y.bytes() == 0) << a << " and " << b;
    }
  }
  EXPECT_LE(plan.arena_bytes, sum);
}

TEST(PlanMemory, SlotsAliveTogetherNeverOverlapInRandomPlans) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    Plan plan;
    std::vector<SlotId> ready = {add_slot(plan, Slot::Kind::kInput, 100)};
    auto pick = [&] { return ready[random.below(ready.size())]; };
    auto steps = 1 + random.below(30);
    for (uint64_t i = 0; i < steps; ++i) {
      std::vector<SlotId> reads = {pick(), pick()};
      std::vector<SlotId> writes;
      for (uint64_t w = 0; w <= random.below(2); ++w) {
        auto kind = random.below(8) == 0 ? Slot::Kind::kDynamic : Slot::Kind::kArena;
        writes.push_back(add_slot(plan, kind, static_cast<int64_t>(random.below(1000))));
      }
      add_step(plan, reads, writes);
      ready.insert(ready.end(), writes.begin(), writes.end());
      SlotId source = writes.front();
      if (random.below(3) == 0 && plan.slots[at(source)].kind == Slot::Kind::kArena) {
        ready.push_back(add_slot(plan, Slot::Kind::kAlias, plan.slots[at(source)].bytes(), source));
      }
      if (random.below(4) == 0) plan.watched.back().push_back({"w", pick()});
    }
    plan.outputs = {pick()};
    plan_memory(plan);
    expect_disjoint(plan);
    // Every dynamic slot is released once, after its last use, unless it is an output.
    std::vector<Interval> life = intervals_of(plan);
    std::vector<int64_t> dead(plan.slots.size(), -1);
    for (size_t i = 0; i < plan.dead_after.size(); ++i) {
      for (SlotId s : plan.dead_after[i]) {
        EXPECT_EQ(dead[at(s)], -1);
        dead[at(s)] = static_cast<int64_t>(i);
      }
    }
    for (size_t s = 0; s < plan.slots.size(); ++s) {
      if (plan.slots[s].kind != Slot::Kind::kDynamic) continue;
      bool kept = life[s].last == static_cast<int64_t>(plan.steps.size());
      EXPECT_EQ(dead[s], kept ? -1 : life[s].last) << seed;
    }
  }
}

TEST(PlanMemory, AChainNeedsTwoPlaces) {
  Plan plan;
  SlotId previous = add_slot(plan, Slot::Kind::kInput, 640);
  for (int i = 0; i < 10; ++i) {
    SlotId next = add_slot(plan, Slot::Kind::kArena, 640);
    add_step(plan, {previous}, {next});
    previous = next;
  }
  plan.outputs = {previous};
  plan_memory(plan);
  EXPECT_EQ(plan.arena_bytes, 2 * 640);
}

TEST(PlanMemory, AnAliasKeepsItsSourceAlive) {
  Plan plan;
  SlotId in = add_slot(plan, Slot::Kind::kInput, 64);
  SlotId a = add_slot(plan, Slot::Kind::kArena, 64);
  add_step(plan, {in}, {a});
  SlotId reshaped = add_slot(plan, Slot::Kind::kAlias, 64, a);
  SlotId again = add_slot(plan, Slot::Kind::kAlias, 64, reshaped);
  SlotId b = add_slot(plan, Slot::Kind::kArena, 64);
  add_step(plan, {in}, {b});
  SlotId c = add_slot(plan, Slot::Kind::kArena, 64);
  add_step(plan, {again, b}, {c});
  plan.outputs = {c};
  plan_memory(plan);
  EXPECT_NE(plan.slots[at(a)].offset, plan.slots[at(b)].offset);
  expect_disjoint(plan);
}

TEST(PlanMemory, AWatchedValueKeepsItsPlaceUntilItIsShown) {
  auto offset_of_second = [](bool watched) {
    Plan plan;
    SlotId in = add_slot(plan, Slot::Kind::kInput, 64);
    SlotId a = add_slot(plan, Slot::Kind::kArena, 64);
    add_step(plan, {in}, {a});
    SlotId b = add_slot(plan, Slot::Kind::kArena, 64);
    add_step(plan, {in}, {b});
    if (watched) plan.watched.back().push_back({"a", a});
    plan.outputs = {b};
    plan_memory(plan);
    expect_disjoint(plan);
    return plan.slots[at(b)].offset;
  };
  EXPECT_EQ(offset_of_second(false), 0);
  EXPECT_NE(offset_of_second(true), 0);
}

TEST(PlanMemory, CountsConstantsAndLeavesUnusedSlotsOut) {
  Plan plan;
  SlotId in = add_slot(plan, Slot::Kind::kInput, 64);
  SlotId constant = add_slot(plan, Slot::Kind::kConstant, 0);
  plan.slots[at(constant)].constant = Tensor::zeros(DType::kFloat32, {5});
  SlotId unused = add_slot(plan, Slot::Kind::kArena, 1 << 20);
  SlotId out = add_slot(plan, Slot::Kind::kOutput, 64);
  add_step(plan, {in, constant}, {out});
  plan.outputs = {out};
  plan_memory(plan);
  EXPECT_EQ(plan.constant_bytes, 20);
  EXPECT_EQ(plan.arena_bytes, 0);
  EXPECT_EQ(plan.slots[at(unused)].offset, -1);
}

}  // namespace
}  // namespace fewbit
