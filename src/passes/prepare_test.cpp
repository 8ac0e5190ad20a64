#include "passes/prepare.h"

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;
using test::random_tensor;
using Ints = std::vector<int64_t>;

ModelBuilder network() {
  ModelBuilder b;
  b.input("x", {2, 3, 6, 6}).random("w1", {4, 3, 3, 3}, -5, 5).random("w2", {5, 4, 1, 1});
  b.random("g", {4}).random("h", {4}).random("m", {4}).random("v", {4}, 0.1F, 2);
  b.random("a", {4, 4}).random("c", {4, 4});
  b.node("Identity", {"x"}, "i").node("Conv", {"i", "w1"}, "c1");
  b.node("BatchNormalization", {"c1", "g", "h", "m", "v"}, "n").node("Relu", {"n"}, "r");
  b.node("Conv", {"r", "w2"}, "c2").node("ReduceMean", {"c2"}, "p", {{"axes", Ints{2, 3}}});
  b.node("Add", {"a", "c"}, "unused").output({"p"});
  return b;
}

const PassReport& report(const std::vector<PassReport>& reports, const std::string& name) {
  for (const PassReport& r : reports) {
    if (r.name == name) return r;
  }
  ADD_FAILURE() << "no pass " << name;
  return reports.front();
}

TEST(Prepare, EveryPassRunsCountsAndLeavesTheOutputs) {
  ModelBuilder b = network();
  Model before = b.model;
  Feeds probe = {{"x", random_tensor({2, 3, 6, 6}, 1)}};
  PrepareOptions options;
  options.equalize = true;
  options.threads = 1;
  auto reports = prepare(b.model, options, probe);
  ASSERT_TRUE(reports.ok()) << reports.error().message();
  for (const char* pass : {"fold_constants", "remove_dead_nodes", "fold_batch_norm",
                           "name_global_pools", "equalize"}) {
    EXPECT_GT(report(*reports, pass).changed, 0) << pass;
    EXPECT_LE(report(*reports, pass).output_error, 1e-5) << pass;
  }
  EXPECT_EQ(count_nodes(b.graph, "BatchNormalization"), 0);
  EXPECT_EQ(count_nodes(b.graph, "GlobalAveragePool"), 1);
  EXPECT_EQ(count_nodes(b.graph, "Identity"), 0);
  Feeds other = {{"x", random_tensor({2, 3, 6, 6}, 2)}};
  auto a = test::run_model(before, other, false);
  auto e = test::run_model(b.model, other, false);
  EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-5);
}

TEST(Prepare, PassesThatAreOffDoNotRun) {
  ModelBuilder b = network();
  PrepareOptions options;
  options.fold_batch_norm = false;
  options.threads = 1;
  auto reports = prepare(b.model, options, {{"x", random_tensor({2, 3, 6, 6}, 1)}});
  ASSERT_TRUE(reports.ok());
  for (const PassReport& r : *reports) {
    EXPECT_NE(r.name, "fold_batch_norm");
    EXPECT_NE(r.name, "equalize");
  }
  EXPECT_EQ(count_nodes(b.graph, "BatchNormalization"), 1);
}

TEST(Prepare, TheModelIsUpgradedFirst) {
  ModelBuilder b = network();
  for (NodeId id : b.graph.order()) b.graph.node(id).opset = 9;
  b.model.opsets[""] = 9;
  PrepareOptions options;
  options.opset = 13;
  options.threads = 1;
  auto reports = prepare(b.model, options, {{"x", random_tensor({2, 3, 6, 6}, 1)}});
  ASSERT_TRUE(reports.ok()) << reports.error().message();
  EXPECT_EQ(reports->front().name, "upgrade_opset");
  EXPECT_EQ(reports->front().notes, std::vector<std::string>{"opset 9 -> 13"});
  EXPECT_EQ(b.model.onnx_opset(), 13);
}

// The biases are so high that mean - 3 deviations lies above zero; one value lies below that, the
// further the larger `outlier` is.
PassReport absorbed(float outlier, Graph* graph = nullptr) {
  ModelBuilder b;
  b.input("x", {8, 3, 6, 6}).random("w1", {4, 3, 1, 1}).random("w2", {5, 4, 1, 1});
  b.constant("b1", Tensor::from({4}, std::vector<float>{9, 9, 9, 9}));
  b.node("Conv", {"x", "w1", "b1"}, "c1").node("Relu", {"c1"}, "r");
  b.node("Conv", {"r", "w2"}, "y").output({"y"});
  Tensor x = random_tensor({8, 3, 6, 6}, 1);
  for (int64_t c = 0; c < 3; ++c) x.data<float>()[c * 36] = outlier;
  Feeds feeds = {{"x", x}};
  PrepareOptions options;
  options.absorb_bias = true;
  options.threads = 1;
  options.calibration = {1, [&](int64_t) -> Result<Feeds> { return feeds; }};
  auto reports = prepare(b.model, options, feeds);
  EXPECT_TRUE(reports.ok()) << (reports.ok() ? "" : reports.error().message());
  if (graph != nullptr) *graph = b.graph;
  return reports.ok() ? report(*reports, "absorb_bias") : PassReport{};
}

TEST(Prepare, AbsorptionIsNotExactAndHasItsOwnTolerance) {
  // Outward until the value is cut by more than an exact pass could get away with.
  PassReport r;
  for (float outlier = -1; outlier > -20 && r.output_error <= 1e-3; outlier -= 0.1F) {
    r = absorbed(outlier);
  }
  EXPECT_FALSE(r.exact);
  EXPECT_EQ(r.changed, 1);
  EXPECT_TRUE(r.notes.empty());
  EXPECT_GT(r.output_error, 1e-3);
}

TEST(Prepare, AbsorptionThatChangesTooMuchIsUndone) {
  Graph graph;
  PassReport r = absorbed(-20, &graph);
  EXPECT_EQ(r.changed, 0);
  ASSERT_EQ(r.notes.size(), 1U);
  EXPECT_EQ(r.notes[0].rfind("undone: ", 0), 0U) << r.notes[0];
  for (float bias : graph.constant(graph.find_value("b1"))->span<float>()) EXPECT_EQ(bias, 9);
}

TEST(Prepare, AProbeThatDoesNotFitIsAnError) {
  ModelBuilder b = network();
  EXPECT_FALSE(prepare(b.model, {}, {{"x", random_tensor({2, 4, 6, 6}, 1)}}).ok());
  EXPECT_FALSE(prepare(b.model, {}, {}).ok());
}

TEST(NameGlobalPools, OnlyMeansOverAllOfSpaceWithDimensionsKept) {
  struct Case {
    Dims dims;
    Ints axes;
    int64_t keepdims;
    int expected;
  };
  for (const Case& c : {Case{{2, 3, 4, 5}, {2, 3}, 1, 1}, Case{{2, 3, 4, 5}, {-1, -2}, 1, 1},
                        Case{{2, 3, 4}, {2}, 1, 1}, Case{{2, 3, 4, 5}, {2, 3}, 0, 0},
                        Case{{2, 3, 4, 5}, {2}, 1, 0}, Case{{2, 3, 4, 5}, {1, 2, 3}, 1, 0},
                        Case{{2, 3}, {1}, 1, 0}, Case{{2, 3, 4, 5}, {}, 1, 0}}) {
    for (int opset : {17, 18}) {  // axes became an input with opset 18
      ModelBuilder b(opset);
      b.input("x", c.dims);
      if (opset == 17) {
        test::NodeAttributes attributes = {{"keepdims", c.keepdims}};
        if (!c.axes.empty()) attributes["axes"] = c.axes;
        b.node("ReduceMean", {"x"}, "y", attributes);
      } else {
        b.constant("axes", Tensor::from({static_cast<int64_t>(c.axes.size())}, c.axes));
        b.node("ReduceMean", {"x", "axes"}, "y", {{"keepdims", c.keepdims}});
      }
      b.output({"y"});
      ASSERT_TRUE(infer_graph(b.graph).ok());
      Model before = b.model;
      auto changed = name_global_pools(b.graph);
      ASSERT_TRUE(changed.ok());
      EXPECT_EQ(*changed, c.expected);
      Feeds feeds = {{"x", random_tensor(c.dims, 1)}};
      auto a = test::run_model(before, feeds, false);
      auto e = test::run_model(b.model, feeds, false);
      EXPECT_LE(test::relative_difference(a[0].tensor(), e[0].tensor()), 1e-6);
    }
  }
}

}  // namespace
}  // namespace fewbit
