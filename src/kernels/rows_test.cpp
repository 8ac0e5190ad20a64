// Which rows of each family's table this machine runs, and which it emulates: one line a family,
// which ./run-tests prints.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "kernels/few_bit/few_bit_core.h"
#include "kernels/int8_depthwise/depthwise_core.h"
#include "kernels/int8_gemm/int8_core.h"
#include "kernels/pattern_codes/pattern_core.h"
#include "kernels/vector_codes/vector_core.h"

namespace fewbit {
namespace {

template <class Row>
bool emulated(const Row& row) {
  if constexpr (requires { row.emulated; }) return row.emulated;
  return false;
}

// Says which rows have been compiled in and counts those that run here.
template <class Row>
int report(const char* family, std::span<const Row* const> rows) {
  std::string native, twins, absent;
  int runs = 0;
  for (const Row* row : rows) {
    const bool here = emulated(*row) || isa_runs_here(row->isa);
    runs += here ? 1 : 0;
    std::string& list = emulated(*row) ? twins : here ? native : absent;
    list += fmt::format(" {}", row->label);
  }
  fmt::print("rows of {}: native{}", family, native);
  if (!twins.empty()) fmt::print("; emulated{}", twins);
  if (!absent.empty()) fmt::print("; not run{}", absent);
  fmt::print("\n");
  std::fflush(stdout);
  return runs;
}

TEST(KernelRows, EveryFamilyRunsHere) {
  EXPECT_GT(report("few_bit", few_bit::all_rows()), 0);
  EXPECT_GT(report("pattern_codes", pattern_codes::all_rows()), 0);
  EXPECT_GT(report("vector_codes", vector_codes::all_rows()), 0);
  EXPECT_GT(report("int8_gemm", int8::all_rows()), 0);
  EXPECT_GT(report("int8_depthwise", int8::all_depthwise_rows()), 0);
}

}  // namespace
}  // namespace fewbit
