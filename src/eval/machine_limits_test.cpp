#include "eval/machine_limits.h"

#include <gtest/gtest.h>

namespace fewbit {
namespace {

TEST(MachineLimits, EveryRowThatRunsHereRuns) {
  for (const PeakRow& row : peak_table()) {
    if (isa_runs_here(row.isa) && (row.has_more == nullptr || row.has_more())) row.loop(3);
    EXPECT_GT(row.macs_per_round, 0);
  }
}

TEST(MachineLimits, FiguresAreThoseOfAMachine) {
  const MachineLimits& limits = machine_limits(1);
  // A processor of 0.1 to 10 GHz with 1 to 2^15 multiply-accumulates per cycle.
  for (const MachinePeak& peak : {limits.int8, limits.float32, limits.bfloat16, limits.binary}) {
    EXPECT_GT(peak.macs_per_second, 1e8);
    EXPECT_LT(peak.macs_per_second, 1e10 * (1 << 15));
    EXPECT_FALSE(peak.instruction.empty());
  }
  EXPECT_EQ(&limits, &machine_limits(1));  // measured once
  const double bandwidth = read_bandwidth(1, 1 << 20);
  EXPECT_GT(bandwidth, 1e8);
  EXPECT_LT(bandwidth, 1e13);
}

}  // namespace
}  // namespace fewbit
