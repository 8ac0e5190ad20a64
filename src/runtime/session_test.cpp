#include "runtime/session.h"

#include <gtest/gtest.h>

#include "runtime/model_test_support.h"

namespace fewbit {
namespace {

using test::ModelBuilder;
using test::random_tensor;
using test::run;
using test::session_of;

// Sums of some tens of products, in another order: a few units of the last place.
constexpr double kRounding = 1e-5;

ModelBuilder residual_block() {
  ModelBuilder b;
  b.input("x", {-1, 8, -1, -1}).random("w", {8, 8, 3, 3}).random("bias", {8});
  b.node("Conv", {"x", "w", "bias"}, "c", {{"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  b.node("Relu", {"c"}, "r").node("Add", {"r", "x"}, "y").output({"y"});
  return b;
}

std::string error_of(Session& session, const Feeds& feeds) {
  auto result = session.run(feeds);
  EXPECT_FALSE(result.ok());
  return result.ok() ? "" : result.error().message();
}

TEST(Session, ResidualBlockAgreesWithThePlainOperators) {
  ModelBuilder b = residual_block();
  test::expect_same_optimized(b.model, {{"x", random_tensor({2, 8, 9, 7}, 1)}}, kRounding);
}

TEST(Session, ReshapeChainSharesBytesAndKeepsOrder) {
  ModelBuilder b;
  b.input("x", {2, 3, 4}).constant("s1", Tensor::from({2}, std::vector<int64_t>{6, 4}));
  b.constant("s2", Tensor::from({3}, std::vector<int64_t>{2, -1, 1}));
  b.node("Relu", {"x"}, "r").node("Reshape", {"r", "s1"}, "a").node("Reshape", {"a", "s2"}, "b");
  b.node("Flatten", {"b"}, "y").node("Neg", {"r"}, "z").output({"y", "z"});
  Tensor x = random_tensor({2, 3, 4}, 2);
  test::expect_same_optimized(b.model, {{"x", x}}, 0);
  auto out = test::run_model(b.model, {{"x", x}}, true);
  ASSERT_EQ(out.size(), 2U);
  ASSERT_EQ(out[0].tensor().dims(), (Dims{2, 12}));
  for (int64_t i = 0; i < 24; ++i) {
    EXPECT_EQ(out[0].tensor().data<float>()[i], std::max(x.data<float>()[i], 0.0F));
  }
}

TEST(Session, ShapesThatDependOnData) {
  ModelBuilder b;
  b.input("x", {2, 3}).node("NonZero", {"x"}, "n");
  b.node("Cast", {"n"}, "f", {{"to", static_cast<int64_t>(DType::kFloat32)}});
  b.node("Neg", {"f"}, "y").node("Shape", {"y"}, "s").output({"y", "s"});
  for (bool optimize : {false, true}) {
    SessionOptions options;
    options.optimize = optimize;
    Session session = session_of(b.model, options);
    // The same plan with other counts: nothing of the first run may be left.
    auto first = run(session, {{"x", Tensor::from({2, 3}, std::vector<float>{1, 0, 0, 0, 0, 2})}});
    ASSERT_EQ(first.size(), 2U);
    EXPECT_EQ(first[0].tensor().dims(), (Dims{2, 2}));
    EXPECT_EQ(first[0].tensor().data<float>()[1], -1);
    EXPECT_EQ(first[0].tensor().data<float>()[3], -2);
    auto none = run(session, {{"x", Tensor::zeros(DType::kFloat32, {2, 3})}});
    ASSERT_EQ(none.size(), 2U);
    EXPECT_EQ(none[0].tensor().dims(), (Dims{2, 0}));
    EXPECT_EQ(none[1].tensor().data<int64_t>()[1], 0);
    EXPECT_EQ(first[0].tensor().dims(), (Dims{2, 2})) << "an earlier result changed";
  }
}

// A branch: y = op(captured h, constant).
std::shared_ptr<Graph> branch(const std::string& op, float operand, const std::string& out) {
  ModelBuilder b;
  b.constant(out + "_c", Tensor::scalar(operand)).node(op, {"h", out + "_c"}, out).output({out});
  return std::make_shared<Graph>(b.graph);
}

TEST(Session, IfReadsValuesOfTheGraphAroundIt) {
  ModelBuilder b;
  b.input("x", {3}).input("flag", {}, DType::kBool).node("Relu", {"x"}, "h");
  b.node("If", {"flag"}, "y",
         {{"then_branch", branch("Add", 10, "t")}, {"else_branch", branch("Mul", 3, "e")}});
  b.output({"y"});
  Tensor x = Tensor::from({3}, std::vector<float>{-1, 2, 4});
  for (bool optimize : {false, true}) {
    SessionOptions options;
    options.optimize = optimize;
    Session session = session_of(b.model, options);
    for (bool flag : {true, false}) {
      Tensor f = Tensor::zeros(DType::kBool, {});
      f.data<bool>()[0] = flag;
      auto out = run(session, {{"x", x}, {"flag", f}});
      ASSERT_EQ(out.size(), 1U);
      std::vector<float> expected =
          flag ? std::vector<float>{10, 12, 14} : std::vector<float>{0, 6, 12};
      auto got = out[0].tensor().span<float>();
      EXPECT_EQ(std::vector<float>(got.begin(), got.end()), expected);
    }
  }
}

TEST(Session, LoopReadsValuesOfTheGraphAroundIt) {
  ModelBuilder body;
  body.input("i", {}, DType::kInt64).input("cond", {}, DType::kBool).input("acc", {2});
  body.node("Identity", {"cond"}, "cond_out").node("Add", {"acc", "h"}, "acc_out");
  body.node("Identity", {"acc"}, "seen").output({"cond_out", "acc_out", "seen"});
  ModelBuilder b;
  b.input("x", {2}).input("trips", {}, DType::kInt64).node("Neg", {"x"}, "h");
  b.node("Loop", {"trips", "", "x"}, test::Names{"y", "all"},
         {{"body", std::make_shared<Graph>(body.graph)}});
  b.output({"y", "all"});
  Tensor x = Tensor::from({2}, std::vector<float>{1, 5});
  for (bool optimize : {false, true}) {
    SessionOptions options;
    options.optimize = optimize;
    Session session = session_of(b.model, options);
    auto out = run(session, {{"x", x}, {"trips", Tensor::scalar(int64_t{3})}});
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].tensor().data<float>()[1], 5 - 3 * 5);
    EXPECT_EQ(out[1].tensor().dims(), (Dims{3, 2}));
    EXPECT_EQ(out[1].tensor().data<float>()[5], -5);  // before the third addition
  }
}

TEST(Session, OutputsThatAreInputsConstantsOrReadAgain) {
  ModelBuilder b;
  b.input("x", {2, 2}).constant("k", Tensor::from({2}, std::vector<float>{7, 8}));
  b.constant("k2", Tensor::from({2}, std::vector<float>{1, 2}));
  b.node("Add", {"k", "k2"}, "folded").node("Relu", {"x"}, "y").node("Neg", {"y"}, "z");
  b.node("Identity", {"x"}, "same").output({"x", "k", "folded", "y", "z", "same"});
  Tensor x = Tensor::from({2, 2}, std::vector<float>{-1, 2, -3, 4});
  test::expect_same_optimized(b.model, {{"x", x}}, 0);
  Session session = session_of(b.model);
  auto out = run(session, {{"x", x}});
  ASSERT_EQ(out.size(), 6U);
  EXPECT_TRUE(out[0].tensor().identical(x));
  EXPECT_EQ(out[1].tensor().data<float>()[1], 8);
  EXPECT_EQ(out[2].tensor().data<float>()[1], 10);
  EXPECT_EQ(out[3].tensor().data<float>()[3], 4);
  EXPECT_EQ(out[4].tensor().data<float>()[3], -4);
  // What a caller does with his results changes neither the model nor his input.
  for (RuntimeValue& v : out) std::fill_n(v.tensor().data<float>(), v.tensor().elements(), 99.0F);
  EXPECT_EQ(x.data<float>()[1], 2);
  auto again = run(session, {{"x", x}});
  EXPECT_EQ(again[1].tensor().data<float>()[1], 8);
  EXPECT_EQ(again[2].tensor().data<float>()[1], 10);
}

TEST(Session, ResultsOfOneRunSurviveTheNext) {
  Session session = session_of(residual_block().model);
  auto first = run(session, {{"x", random_tensor({1, 8, 5, 5}, 3)}});
  ASSERT_EQ(first.size(), 1U);
  Tensor copy = first[0].tensor().clone();
  run(session, {{"x", random_tensor({1, 8, 5, 5}, 4)}});
  EXPECT_TRUE(first[0].tensor().identical(copy));
}

TEST(Session, WatchShowsValuesThatFusionWouldHide) {
  ModelBuilder b = residual_block();
  Feeds feeds = {{"x", random_tensor({1, 8, 6, 6}, 5)}};
  std::map<std::string, Tensor> expected;
  SessionOptions plain;
  plain.optimize = false;
  Session reference = session_of(b.model, plain);
  auto keep = [](std::map<std::string, Tensor>& seen) {
    return [&seen](const std::string& name, const Tensor& t) {
      EXPECT_TRUE(seen.emplace(name, t.clone()).second) << name << " was shown twice";
    };
  };
  const std::vector<std::string> names = {"x", "c", "r", "y"};
  ASSERT_TRUE(reference.watch(names, keep(expected)).ok());
  run(reference, feeds);

  Session session = session_of(b.model);
  session.set_profiling(true);
  run(session, feeds);
  size_t fused_steps = session.profile().size();
  std::map<std::string, Tensor> seen;
  ASSERT_TRUE(session.watch(names, keep(seen)).ok());
  auto watched = run(session, feeds);
  EXPECT_GT(session.profile().size(), fused_steps);
  ASSERT_EQ(seen.size(), names.size());
  for (const std::string& name : names) {
    EXPECT_LE(test::relative_difference(expected.at(name), seen.at(name)), kRounding) << name;
  }
  EXPECT_TRUE(seen.at("y").identical(watched[0].tensor()));
  ASSERT_TRUE(session.watch({}, nullptr).ok());
  run(session, feeds);
  EXPECT_EQ(session.profile().size(), fused_steps);
  EXPECT_FALSE(session.watch({"nothing"}, nullptr).ok());
}

TEST(Session, WatchShowsValuesOfConstants) {
  ModelBuilder b;
  b.input("x", {2}).constant("a", Tensor::from({2}, std::vector<float>{1, 2}));
  b.node("Neg", {"a"}, "n").node("Identity", {"n"}, "i").node("Add", {"x", "i"}, "y").output({"y"});
  for (const char* name : {"n", "i"}) {
    Session session = session_of(b.model);
    int shown = 0;
    ASSERT_TRUE(session
                    .watch({name},
                           [&](const std::string&, const Tensor& t) {
                             ++shown;
                             EXPECT_EQ(t.data<float>()[1], -2);
                           })
                    .ok());
    run(session, {{"x", random_tensor({2}, 6)}});
    EXPECT_EQ(shown, 1) << name;
  }
}

TEST(Session, ErrorsNameTheInput) {
  Session session = session_of(residual_block().model);
  Tensor good = random_tensor({1, 8, 4, 4}, 7);
  std::string unknown = error_of(session, {{"x", good}, {"z", good}});
  EXPECT_NE(unknown.find("'z'"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("x"), std::string::npos) << unknown;
  std::string missing = error_of(session, {});
  EXPECT_NE(missing.find("'x'"), std::string::npos) << missing;
  std::string channels = error_of(session, {{"x", random_tensor({1, 7, 4, 4}, 7)}});
  EXPECT_NE(channels.find("'x'"), std::string::npos) << channels;
  EXPECT_NE(channels.find("[1, 7, 4, 4]"), std::string::npos) << channels;
  std::string rank = error_of(session, {{"x", random_tensor({8, 4, 4}, 7)}});
  EXPECT_NE(rank.find("'x'"), std::string::npos) << rank;
  std::string type = error_of(session, {{"x", Tensor::zeros(DType::kInt64, {1, 8, 4, 4})}});
  EXPECT_NE(type.find("int64"), std::string::npos) << type;
  // A refused call leaves the session in order.
  EXPECT_EQ(run(session, {{"x", good}}).size(), 1U);
}

TEST(Session, UnsupportedOperatorsAreAllListed) {
  ModelBuilder b;
  b.input("x", {2}).node("NoSuchOp", {"x"}, "a").node("NorThis", {"a"}, "y").output({"y"});
  auto session = Session::create(b.model, {});
  ASSERT_FALSE(session.ok());
  EXPECT_NE(session.error().message().find("NoSuchOp"), std::string::npos);
  EXPECT_NE(session.error().message().find("NorThis"), std::string::npos);
}

TEST(Session, OtherShapesGetOtherPlansAndOldOnesGo) {
  ModelBuilder b = residual_block();
  SessionOptions options;
  options.max_plans = 2;
  Session session = session_of(b.model, options);
  SessionOptions plain;
  plain.optimize = false;
  Session reference = session_of(b.model, plain);
  for (int round = 0; round < 2; ++round) {
    for (int64_t size : {3, 4, 9, 3, 12, 4}) {
      Feeds feeds = {{"x", random_tensor({size % 3 + 1, 8, size, size + 1}, 8)}};
      auto a = run(session, feeds);
      auto e = run(reference, feeds);
      ASSERT_EQ(a.size(), 1U);
      EXPECT_LE(test::relative_difference(e[0].tensor(), a[0].tensor()), kRounding) << size;
    }
  }
}

TEST(Session, ProfileCountsCallsAndWork) {
  Session session = session_of(residual_block().model);
  session.set_profiling(true);
  Feeds feeds = {{"x", random_tensor({1, 8, 5, 5}, 9)}};
  for (int i = 0; i < 3; ++i) run(session, feeds);
  int64_t macs = 0;
  for (const StepProfile& s : session.profile()) {
    EXPECT_EQ(s.calls, 3) << s.label;
    macs += s.macs;
  }
  EXPECT_EQ(macs, 8 * 8 * 9 * 25);
}

}  // namespace
}  // namespace fewbit
