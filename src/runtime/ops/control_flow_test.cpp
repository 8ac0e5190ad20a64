#include <gtest/gtest.h>

#include "runtime/ops/op_test_support.h"
#include "runtime/ops/slices.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

// A graph of which only the numbers of inputs and outputs matter: a lambda stands for its nodes.
Attribute graph(size_t inputs, size_t outputs) {
  auto g = std::make_shared<Graph>();
  for (size_t i = 0; i < inputs; ++i) g->inputs.push_back(g->add_value(""));
  for (size_t i = 0; i < outputs; ++i) {
    g->outputs.push_back(g->add_value("", ValueType::tensor(DType::kInt64, Shape{Dim::of(2)})));
  }
  return g;
}

int64_t number(const RuntimeValue& v) {
  return v.tensor().data<int64_t>()[0];
}

// carried = carried + iteration; scanned = [carried]; stops after three iterations.
Result<std::vector<RuntimeValue>> add_iteration(const Graph&, std::vector<RuntimeValue> in) {
  const int64_t i = number(in[0]), sum = number(in[2]) + i;
  return std::vector<RuntimeValue>{Tensor::scalar(i < 2), Tensor::scalar(sum), int_list({sum, i})};
}

OpCall loop(RuntimeValue limit) {
  OpCall call("Loop", 13);
  call.in(std::move(limit)).in(Tensor::scalar(true)).in(Tensor::scalar(int64_t{10}));
  return call.attr("body", graph(3, 3)).outputs(2).runner(add_iteration);
}

TEST(Loop, CarriesCollectsAndStops) {
  auto result = loop({}).run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(number((*result)[0]), 13);
  EXPECT_EQ((*result)[1].tensor().dims(), (Dims{3, 2}));
  EXPECT_EQ(values<int64_t>((*result)[1].tensor()), (Ints{10, 0, 11, 1, 13, 2}));
  auto limited = loop(Tensor::scalar(int64_t{1})).run();
  EXPECT_EQ(number((*limited)[0]), 10);
}

TEST(Loop, NoIterationGivesEmptyScans) {
  auto result = loop(Tensor::scalar(int64_t{0})).run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(number((*result)[0]), 10);
  EXPECT_EQ((*result)[1].tensor().dims(), (Dims{0, 2}));
}

TEST(Loop, RefusesBodiesThatDoNotFit) {
  EXPECT_NE(loop({}).outputs(3).error(), "");
  EXPECT_NE(loop({}).attr("body", graph(2, 3)).error(), "");
  EXPECT_NE(loop({}).attr("body", int64_t{1}).error(), "");
  EXPECT_NE(loop(int_list({1, 2})).error(), "");
}

TEST(If, TakesOneBranch) {
  const auto branch = [](bool condition) {
    return OpCall("If", 13)
        .in(Tensor::scalar(condition))
        .attr("then_branch", graph(0, 1))
        .attr("else_branch", graph(0, 2))
        .runner([](const Graph& g, std::vector<RuntimeValue>) -> Result<std::vector<RuntimeValue>> {
          return std::vector<RuntimeValue>(g.outputs.size(), Tensor::scalar(int64_t{7}));
        });
  };
  EXPECT_EQ(branch(true).output().data<int64_t>()[0], 7);
  EXPECT_NE(branch(false).error(), "");
  EXPECT_NE(OpCall("If", 13).in(int_list({1})).error(), "");
}

TEST(Scan, AxesAndDirections) {
  // state += sum of the slice; the slice itself is collected.
  const auto body = [](const Graph&,
                       std::vector<RuntimeValue> in) -> Result<std::vector<RuntimeValue>> {
    int64_t sum = number(in[0]);
    for (const int64_t v : in[1].tensor().span<int64_t>()) sum = 10 * sum + v;
    return std::vector<RuntimeValue>{Tensor::scalar(sum), in[1]};
  };
  const auto scan = [&](int64_t in_reverse, int64_t out_axis) {
    return OpCall("Scan", 11)
        .in(Tensor::scalar(int64_t{0}))
        .in(ints({2, 3}, {1, 2, 3, 4, 5, 6}))
        .attr("body", graph(2, 2))
        .attr("num_scan_inputs", int64_t{1})
        .attr("scan_input_axes", Ints{1})
        .attr("scan_input_directions", Ints{in_reverse})
        .attr("scan_output_axes", Ints{out_axis})
        .outputs(2)
        .runner(body);
  };
  auto forward = scan(0, 1).run();
  ASSERT_TRUE(forward.ok());
  EXPECT_EQ(number((*forward)[0]), 142536);
  EXPECT_EQ(values<int64_t>((*forward)[1].tensor()), (Ints{1, 2, 3, 4, 5, 6}));
  auto backward = scan(1, -2).run();
  EXPECT_EQ(number((*backward)[0]), 362514);
  EXPECT_EQ(values<int64_t>((*backward)[1].tensor()), (Ints{3, 6, 2, 5, 1, 4}));
  EXPECT_NE(scan(0, 2).error(), "");
  EXPECT_NE(scan(0, 1).attr("scan_input_axes", Ints{2}).error(), "");
  EXPECT_NE(scan(0, 1).attr("num_scan_inputs", int64_t{3}).error(), "");
}

TEST(Scan, OldVersionHasABatchAndLengths) {
  const auto body = [](const Graph&,
                       std::vector<RuntimeValue> in) -> Result<std::vector<RuntimeValue>> {
    const int64_t sum = number(in[0]) + number(in[1]);
    return std::vector<RuntimeValue>{int_list({sum}), int_list({sum})};
  };
  const auto scan = [&](Ints lengths) {
    return OpCall("Scan", 8)
        .in(int_list(std::move(lengths)))
        .in(ints({2, 1}, {0, 100}))
        .in(ints({2, 3, 1}, {1, 2, 3, 4, 5, 6}))
        .attr("body", graph(2, 2))
        .attr("num_scan_inputs", int64_t{1})
        .outputs(2)
        .runner(body);
  };
  auto result = scan({3, 2}).run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<int64_t>((*result)[0].tensor()), (Ints{6, 109}));
  EXPECT_EQ(values<int64_t>((*result)[1].tensor()), (Ints{1, 3, 6, 104, 109, 0}));
  EXPECT_NE(scan({3, 4}).error(), "");
  EXPECT_NE(scan({3}).error(), "");
}

TEST(SequenceMap, WalksSequencesTogether) {
  const auto map = [](RuntimeValue second) {
    return OpCall("SequenceMap", 17)
        .in(RuntimeValue::sequence({Tensor::scalar(int64_t{1}), Tensor::scalar(int64_t{2})}))
        .in(std::move(second))
        .attr("body", graph(2, 1))
        .runner(
            [](const Graph&, std::vector<RuntimeValue> in) -> Result<std::vector<RuntimeValue>> {
              return std::vector<RuntimeValue>{Tensor::scalar(number(in[0]) + number(in[1]))};
            });
  };
  auto result = map(Tensor::scalar(int64_t{10})).run();
  ASSERT_TRUE(result.ok());
  ASSERT_EQ((*result)[0].items().size(), 2U);
  EXPECT_EQ(number((*result)[0].items()[1]), 12);
  EXPECT_NE(map(RuntimeValue::sequence({Tensor::scalar(int64_t{1})})).error(), "");
}

TEST(Slices, HoldPackedTypesAndStrings) {
  const Node node;
  Tensor packed = Tensor::zeros(DType::kInt4, {2, 3});
  const uint8_t bytes[] = {0x21, 0x43, 0x65};
  std::copy(std::begin(bytes), std::end(bytes), reinterpret_cast<uint8_t*>(packed.raw()));
  std::vector<Tensor> columns;
  for (int64_t i = 0; i < 3; ++i) columns.push_back(*slice_at(node, packed, 1, i));
  EXPECT_TRUE(stack(node, columns, 1)->identical(packed));
  const Tensor words = Tensor::strings({2, 1}, {"a", "b"});
  EXPECT_EQ(slice_at(node, words, 0, 1)->strings()[0], "b");
  EXPECT_FALSE(slice_at(node, words, 0, 2).ok());
  EXPECT_FALSE(stack(node, {words, packed}, 0).ok());
}

}  // namespace
}  // namespace fewbit::ops
