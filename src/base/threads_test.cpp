#include "base/threads.h"

#include <gtest/gtest.h>
#include <omp.h>

namespace fewbit {
namespace {

TEST(Threads, SetAndReset) {
  const int before = num_threads();
  EXPECT_GE(before, 1);
  set_threads(3);
  EXPECT_EQ(num_threads(), 3);
  int seen = 0;
#pragma omp parallel
#pragma omp single
  seen = omp_get_num_threads();
  EXPECT_EQ(seen, 3);
  set_threads(0);
  EXPECT_EQ(num_threads(), omp_get_num_procs());
  set_threads(before);
}

}  // namespace
}  // namespace fewbit
