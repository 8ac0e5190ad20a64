#include <limits>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<RuntimeValue> top(const Tensor& x, int64_t k, bool largest) {
  return *OpCall("TopK", 11)
              .in(x)
              .in(ints({1}, {k}))
              .attr("largest", int64_t{largest ? 1 : 0})
              .outputs(2)
              .run();
}

TEST(TopK, OrdersNumbersOfEverySign) {
  const Tensor x = floats({6}, {-1, 3, -kInf, 0.5F, kInf, -2});
  const auto largest = top(x, 3, true);
  EXPECT_EQ(values<float>(largest[0].tensor()), (std::vector<float>{kInf, 3, 0.5F}));
  EXPECT_EQ(values<int64_t>(largest[1].tensor()), (std::vector<int64_t>{4, 1, 3}));
  const auto smallest = top(x, 3, false);
  EXPECT_EQ(values<float>(smallest[0].tensor()), (std::vector<float>{-kInf, -2, -1}));
}

TEST(TopK, KeepsTheOrderOfEqualValuesAndPutsNanLast) {
  const auto zeros = top(floats({3}, {0.0F, -0.0F, 0.0F}), 3, true);
  EXPECT_EQ(values<int64_t>(zeros[1].tensor()), (std::vector<int64_t>{0, 1, 2}));
  const auto smallest = top(floats({3}, {kNan, 1, kInf}), 3, false);
  EXPECT_EQ(values<int64_t>(smallest[1].tensor()), (std::vector<int64_t>{1, 2, 0}));
}

TEST(TopK, IntegersUseTheirWholeRange) {
  const auto bytes = top(tensor<int8_t>({2, 2}, {-128, 127, 1, -1}), 1, true);
  EXPECT_EQ(values<int8_t>(bytes[0].tensor()), (std::vector<int8_t>{127, 1}));
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  const auto words = top(tensor<uint64_t>({2}, {1, kLargest}), 1, true);
  EXPECT_EQ(values<uint64_t>(words[0].tensor()), (std::vector<uint64_t>{kLargest}));
}

TEST(Unique, StringsAndNumbersAreSorted) {
  const Tensor words = Tensor::strings({4}, {"pear", "fig", "pear", "apple"});
  const auto found = *OpCall("Unique", 11).in(words).outputs(4).run();
  const auto strings = found[0].tensor().strings();
  EXPECT_EQ(std::vector<std::string>(strings.begin(), strings.end()),
            (std::vector<std::string>{"apple", "fig", "pear"}));
  EXPECT_EQ(values<int64_t>(found[1].tensor()), (std::vector<int64_t>{3, 1, 0}));
  EXPECT_EQ(values<int64_t>(found[2].tensor()), (std::vector<int64_t>{2, 1, 2, 0}));
  EXPECT_EQ(values<int64_t>(found[3].tensor()), (std::vector<int64_t>{1, 1, 2}));

  const Tensor columns = floats({2, 3}, {2, -1, 2, 0, 5, 0});
  const Tensor y = OpCall("Unique", 11).in(columns).attr("axis", int64_t{1}).output();
  EXPECT_EQ(y.dims(), (Dims{2, 2}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{-1, 2, 5, 0}));
}

TEST(NonZero, NanIsNotZeroAndMinusZeroIs) {
  const Tensor y = OpCall("NonZero", 13).in(floats({2, 2}, {-0.0F, kNan, 0, 1e-45F})).output();
  EXPECT_EQ(y.dims(), (Dims{2, 2}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{0, 1, 1, 1}));
}

}  // namespace
}  // namespace fewbit::ops
