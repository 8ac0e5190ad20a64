#include "kernels/pointwise/broadcast/broadcast.h"

#include <gtest/gtest.h>

#include <vector>

namespace fewbit::pointwise {
namespace {

using Dims = std::vector<int64_t>;

TEST(Broadcast, Collapses) {
  auto rank_of = [](const Dims& a, const Dims& b) { return collapse_broadcast(a, b)->rank; };
  EXPECT_EQ(rank_of({2, 3, 4}, {2, 3, 4}), 1);
  EXPECT_EQ(rank_of({2, 3, 4}, {}), 1);
  EXPECT_EQ(rank_of({2, 3, 4}, {4}), 2);
  EXPECT_EQ(rank_of({2, 3, 4, 5}, {3, 1, 1}), 3);
  EXPECT_EQ(rank_of({1, 3, 4, 5}, {1, 3, 1, 1}), 2);
  EXPECT_EQ(rank_of({1, 1}, {1}), 1);
  EXPECT_FALSE(collapse_broadcast(Dims{2, 3}, Dims{2}).ok());
}

TEST(Broadcast, VisitsEveryElementWithItsOperands) {
  const std::pair<Dims, Dims> cases[] = {
      {{2, 3, 4}, {3, 1}}, {{5}, {2, 1}},      {{2, 1, 4, 1}, {3, 1, 5}}, {{}, {}},
      {{0, 3}, {3}},       {{40000}, {40000}}, {{300, 300}, {300}}};
  for (const auto& [a, b] : cases) {
    const auto loops = collapse_broadcast(a, b);
    ASSERT_TRUE(loops.ok());
    std::vector<std::pair<int64_t, int64_t>> got(loops->elems, {-1, -1});
    for_each_piece(*loops, [&](int64_t x, int64_t y, int64_t o, int64_t n, int64_t sx, int64_t sy) {
      for (int64_t i = 0; i < n; ++i) got[o + i] = {x + i * sx, y + i * sy};
    });
    const size_t rank = std::max(a.size(), b.size());
    for (int64_t i = 0; i < loops->elems; ++i) {
      int64_t rest = i, x = 0, y = 0, sx = 1, sy = 1;
      for (size_t d = 0; d < rank; ++d) {
        const int64_t da = d < a.size() ? a[a.size() - 1 - d] : 1;
        const int64_t db = d < b.size() ? b[b.size() - 1 - d] : 1;
        const int64_t index = rest % std::max(da, db);
        rest /= std::max(da, db);
        x += da == 1 ? 0 : index * sx;
        y += db == 1 ? 0 : index * sy;
        sx *= da;
        sy *= db;
      }
      ASSERT_EQ(got[i], (std::pair{x, y})) << i;
    }
  }
}

}  // namespace
}  // namespace fewbit::pointwise
