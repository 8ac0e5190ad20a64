#include "base/memory_use.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace fewbit {
namespace {

TEST(MemoryUse, PeakGrowsWithMemoryThatIsTouched) {
  const int64_t before = peak_rss_bytes();
  ASSERT_GT(before, 0);
  const int64_t bytes = before + (int64_t{64} << 20);
  std::vector<char> memory(static_cast<size_t>(bytes));
  std::memset(memory.data(), 1, memory.size());
  EXPECT_GE(peak_rss_bytes(), bytes);
}

}  // namespace
}  // namespace fewbit
