// fold_constants, fold_batch_norm, remove_dead_nodes, fuse_layer_norm.

#include <gtest/gtest.h>

#include "graph/infer.h"
#include "runtime/model_test_support.h"
#include "runtime/rewrite/rewrite.h"

namespace fewbit {
namespace {

using test::count_nodes;
using test::ModelBuilder;
using test::random_tensor;

using Rewrite = Result<int> (*)(Graph&, const RewriteContext&);

int apply(Rewrite rewrite, Graph& graph, const RewriteContext& context = {}) {
  EXPECT_TRUE(infer_graph(graph).ok());
  auto changed = rewrite(graph, context);
  EXPECT_TRUE(changed.ok()) << (changed.ok() ? "" : changed.error().message());
  EXPECT_TRUE(graph.sort().ok());
  return changed.ok() ? *changed : -1;
}

// The rewritten graph, run by plain operators, gives what the original gives.
void expect_unchanged(const Model& before, const Model& after, const Feeds& feeds,
                      double tolerance) {
  auto a = test::run_model(before, feeds, false);
  auto b = test::run_model(after, feeds, false);
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_LE(test::relative_difference(a[i].tensor(), b[i].tensor()), tolerance);
  }
}

void add_batch_norm(ModelBuilder& b, const std::string& in, int64_t channels) {
  b.random("bn_scale", {channels}, -2, 2).random("bn_bias", {channels});
  b.random("bn_mean", {channels}).random("bn_var", {channels}, 0.1F, 3);
  b.node("BatchNormalization", {in, "bn_scale", "bn_bias", "bn_mean", "bn_var"}, "y").output({"y"});
}

void expect_folds(ModelBuilder& b, const Dims& input, int expected = 1) {
  Model before = b.model;
  EXPECT_EQ(apply(fold_batch_norm, b.graph), expected);
  EXPECT_EQ(count_nodes(b.graph, "BatchNormalization"), 1 - expected);
  // Weights and biases are rounded once more: relative to sums of tens of terms.
  expect_unchanged(before, b.model, {{"x", random_tensor(input, 11)}}, 1e-5);
}

TEST(FoldBatchNorm, ConvWithAndWithoutBiasAndGroups) {
  for (bool bias : {false, true}) {
    for (int64_t groups : {1, 2, 4}) {
      ModelBuilder b;
      b.input("x", {2, 4, 5, 5}).random("w", {8, 4 / groups, 3, 3}).random("b", {8});
      b.node("Conv", bias ? test::Names{"x", "w", "b"} : test::Names{"x", "w"}, "c",
             {{"group", groups}});
      add_batch_norm(b, "c", 8);
      expect_folds(b, {2, 4, 5, 5});
    }
  }
}

TEST(FoldBatchNorm, ConvTransposeWithGroups) {
  for (int64_t groups : {1, 2, 3}) {
    ModelBuilder b;
    b.input("x", {1, 6, 4, 3}).random("w", {6, 2, 3, 3}).random("b", {2 * groups});
    b.node("ConvTranspose", {"x", "w", "b"}, "c", {{"group", groups}});
    add_batch_norm(b, "c", 2 * groups);
    expect_folds(b, {1, 6, 4, 3});
  }
}

TEST(FoldBatchNorm, GemmBothWaysRoundAndEveryBias) {
  for (int64_t transposed : {0, 1}) {
    for (const Dims& bias : {Dims{6}, Dims{1, 6}, Dims{1}, Dims{}}) {
      ModelBuilder b;
      b.input("x", {4, 5}).random("w", transposed != 0 ? Dims{6, 5} : Dims{5, 6}).random("b", bias);
      b.node("Gemm", {"x", "w", "b"}, "c", {{"transB", transposed}});
      add_batch_norm(b, "c", 6);
      expect_folds(b, {4, 5});
    }
  }
}

TEST(FoldBatchNorm, LeavesWhatItMustNotTouch) {
  auto conv = [](ModelBuilder& b) {
    b.input("x", {1, 3, 4, 4}).random("w", {3, 3, 1, 1}).node("Conv", {"x", "w"}, "c");
  };
  ModelBuilder read_twice;
  conv(read_twice);
  read_twice.node("Relu", {"c"}, "r").output({"r"});
  add_batch_norm(read_twice, "c", 3);
  expect_folds(read_twice, {1, 3, 4, 4}, 0);

  ModelBuilder watched;
  conv(watched);
  add_batch_norm(watched, "c", 3);
  EXPECT_EQ(apply(fold_batch_norm, watched.graph, {{"c"}, 0}), 0);

  // A bias for each row, which only looks like one for each channel.
  ModelBuilder rows;
  rows.input("x", {6, 5})
      .random("w", {5, 6})
      .random("b", {6, 1})
      .node("Gemm", {"x", "w", "b"}, "c");
  add_batch_norm(rows, "c", 6);
  expect_folds(rows, {6, 5}, 0);
}

TEST(FoldBatchNorm, AWeightThatTwoLayersShareStaysForTheOther) {
  ModelBuilder b;
  b.input("x", {1, 3, 4, 4}).random("w", {3, 3, 1, 1});
  b.node("Conv", {"x", "w"}, "c").node("Conv", {"x", "w"}, "d").output({"d"});
  add_batch_norm(b, "c", 3);
  expect_folds(b, {1, 3, 4, 4});
}

TEST(FoldConstants, ArithmeticOfConstantsAndShapes) {
  ModelBuilder b;
  b.input("x", {2, 3, 4}).random("k", {4});
  b.node("Neg", {"k"}, "n").node("Add", {"x", "n"}, "a").node("Shape", {"x"}, "s");
  b.constant("zero", Tensor::from({1}, std::vector<int64_t>{0}));
  b.node("Gather", {"s", "zero"}, "g")
      .constant("rest", Tensor::from({1}, std::vector<int64_t>{-1}));
  b.node("Concat", {"g", "rest"}, "target", {{"axis", int64_t{0}}});
  b.node("Reshape", {"a", "target"}, "y").output({"y"});
  Model before = b.model;
  auto fold = [](Graph& g, const RewriteContext& c) { return fold_constants(g, c, true); };
  EXPECT_EQ(apply(fold, b.graph), 4);
  EXPECT_EQ(count_nodes(b.graph, "Add") + count_nodes(b.graph, "Reshape"), 2);
  EXPECT_EQ(b.graph.node_count(), 2U);
  expect_unchanged(before, b.model, {{"x", random_tensor({2, 3, 4}, 1)}}, 0);
}

TEST(FoldConstants, KeepsDequantizedWeightsRandomNumbersAndHugeResults) {
  ModelBuilder b;
  b.constant("q", Tensor::from({2}, std::vector<int8_t>{3, -4})).params("w", 0.5F, 0, DType::kInt8);
  b.node("DequantizeLinear", {"q", "w_scale", "w_zero"}, "w");
  b.node("RandomNormal", {}, "r", {{"shape", std::vector<int64_t>{2}}});
  b.constant("dims", Tensor::from({2}, std::vector<int64_t>{4096, 4096}));
  b.node("ConstantOfShape", {"dims"}, "big").output({"w", "r", "big"});
  auto keep = [](Graph& g, const RewriteContext& c) { return fold_constants(g, c, true); };
  EXPECT_EQ(apply(keep, b.graph), 0);
  auto all = [](Graph& g, const RewriteContext& c) { return fold_constants(g, c, false); };
  EXPECT_EQ(apply(all, b.graph), 1);
  const Tensor* w = b.graph.constant(b.graph.find_value("w"));
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->data<float>()[1], -2);
}

TEST(RemoveDeadNodes, RemovesWhatNobodyReads) {
  ModelBuilder b;
  b.input("x", {3}).node("Identity", {"x"}, "i").node("Relu", {"i"}, "r");
  b.node("Dropout", {"r"}, "d").node("Identity", {"d"}, "y").output({"y"});
  b.node("Neg", {"x"}, "dead").node("Abs", {"dead"}, "dead2");
  Model before = b.model;
  EXPECT_EQ(apply(remove_dead_nodes, b.graph), 5);
  ASSERT_EQ(b.graph.node_count(), 1U);
  EXPECT_EQ(b.graph.value(b.graph.outputs.front()).name, "y");
  expect_unchanged(before, b.model, {{"x", random_tensor({3}, 1)}}, 0);
}

TEST(RemoveDeadNodes, KeepsWatchedValuesAndOutputsThatAreInputs) {
  ModelBuilder b;
  b.input("x", {3}).node("Identity", {"x"}, "y").node("Neg", {"x"}, "n");
  b.node("Identity", {"n"}, "i").node("Relu", {"i"}, "r").output({"y", "r"});
  Model before = b.model;
  EXPECT_EQ(apply(remove_dead_nodes, b.graph, {{"i"}, 0}), 0);
  EXPECT_EQ(apply(remove_dead_nodes, b.graph), 1);
  EXPECT_EQ(count_nodes(b.graph, "Identity"), 1);
  expect_unchanged(before, b.model, {{"x", random_tensor({3}, 1)}}, 0);
}

struct Norm {
  int64_t axis = -1, keepdims = 1;
  bool other_numerator = false;  // x itself instead of x - mean
  bool other_square = false;     // the variance of something else
  float power = 2;
  bool affine = true;
  bool multiply = false;  // d * d instead of Pow(d, 2)
};

ModelBuilder written_out(const Norm& n) {
  ModelBuilder b;
  test::NodeAttributes mean = {{"axes", std::vector<int64_t>{n.axis}}, {"keepdims", n.keepdims}};
  b.input("x", {2, 6, 6}).random("gamma", {6}).random("beta", {6});
  b.constant("p", Tensor::scalar(n.power)).constant("eps", Tensor::scalar(1e-3F));
  b.node("ReduceMean", {"x"}, "m", mean).node("Sub", {"x", "m"}, "d").node("Abs", {"x"}, "other");
  std::string squared = n.other_square ? "other" : "d";
  if (n.multiply) {
    b.node("Mul", {squared, squared}, "s");
  } else {
    b.node("Pow", {squared, "p"}, "s");
  }
  b.node("ReduceMean", {"s"}, "v", mean).node("Add", {"v", "eps"}, "e").node("Sqrt", {"e"}, "root");
  b.node("Div", {n.other_numerator ? "x" : "d", "root"}, "y0");
  if (!n.affine) return b.output({"y0"});
  return b.node("Mul", {"y0", "gamma"}, "y1").node("Add", {"beta", "y1"}, "y").output({"y"});
}

TEST(FuseLayerNorm, FusesEverySpelling) {
  for (const Norm& n : {Norm{}, Norm{.axis = 2}, Norm{.affine = false}, Norm{.multiply = true}}) {
    ModelBuilder b = written_out(n);
    Model before = b.model;
    EXPECT_EQ(apply(fuse_layer_norm, b.graph), 1);
    EXPECT_EQ(count_nodes(b.graph, "LayerNormalization"), 1);
    EXPECT_EQ(count_nodes(b.graph, "Sqrt") + count_nodes(b.graph, "Mul"), 0);
    expect_unchanged(before, b.model, {{"x", random_tensor({2, 6, 6}, 1)}}, 1e-5);
  }
}

TEST(FuseLayerNorm, LeavesNearMissesAlone) {
  for (const Norm& n : {Norm{.axis = 1}, Norm{.other_numerator = true}, Norm{.other_square = true},
                        Norm{.power = 3}}) {
    ModelBuilder b = written_out(n);
    EXPECT_EQ(apply(fuse_layer_norm, b.graph), 0);
    EXPECT_EQ(count_nodes(b.graph, "Sqrt"), 1);
  }
}

TEST(FuseLayerNorm, WatchedInnerValuesAreStillProduced) {
  ModelBuilder b = written_out({});
  EXPECT_EQ(apply(fuse_layer_norm, b.graph, {{"y0", "v"}, 0}), 1);
  EXPECT_NE(b.graph.value(b.graph.find_value("v")).producer, kNone);
  EXPECT_EQ(count_nodes(b.graph, "Mul"), 1) << "the scale stands behind the watched value";
}

TEST(PoolBeforeConcat, EachPartIsPooledByItself) {
  for (int64_t axis : {1, -3}) {
    ModelBuilder b;
    b.input("x", {2, 3, 9, 8}).input("z", {2, 5, 9, 8});
    b.node("Concat", {"x", "z", "x"}, "c", {{"axis", axis}});
    b.node("MaxPool", {"c"}, "y",
           {{"kernel_shape", std::vector<int64_t>{3, 3}}, {"strides", std::vector<int64_t>{2, 2}}});
    b.output({"y"});
    Model before = b.model;
    EXPECT_EQ(apply(pool_before_concat, b.graph), 1);
    EXPECT_EQ(count_nodes(b.graph, "MaxPool"), 3);
    EXPECT_EQ(b.graph.value(b.graph.node(b.graph.order().back()).output(0)).name, "y");
    expect_unchanged(before, b.model,
                     {{"x", random_tensor({2, 3, 9, 8}, 1)}, {"z", random_tensor({2, 5, 9, 8}, 2)}},
                     0);
  }
}

TEST(PoolBeforeConcat, LeavesWhatOthersReadAndOtherAxes) {
  for (const char* why : {"read twice", "watched", "other axis"}) {
    SCOPED_TRACE(why);
    const bool twice = std::string_view(why) == "read twice";
    ModelBuilder b;
    b.input("x", {1, 2, 6, 6});
    b.node("Concat", {"x", "x"}, "c", {{"axis", std::string_view(why) == "other axis" ? 2 : 1}});
    b.node("MaxPool", {"c"}, "y", {{"kernel_shape", std::vector<int64_t>{2, 2}}});
    b.output({"y"});
    if (twice) b.node("Relu", {"c"}, "r").output({"r"});
    RewriteContext context;
    if (std::string_view(why) == "watched") context.keep.insert("c");
    EXPECT_EQ(apply(pool_before_concat, b.graph, context), 0);
  }
}

}  // namespace
}  // namespace fewbit
