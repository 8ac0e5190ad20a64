#include "eval/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "eval/feeds.h"
#include "eval/test_models.h"

namespace fewbit {
namespace {

using test::Builder;
using test::data_of;
using test::Folder;
using test::session_of;

// Seven samples of four logits; argmax: 0 1 2 3 0 1 2.
const std::vector<float> kLogits = {9, 1, 2, 3, 1, 9, 2, 3, 1, 2, 9, 3, 1, 2,
                                    3, 9, 9, 3, 2, 1, 3, 9, 2, 1, 3, 2, 9, 1};
// Five right.
const std::vector<int64_t> kLabels = {0, 1, 2, 3, 0, 0, 0};

Tensor logits() {
  return Tensor::from({7, 4}, kLogits);
}

// y = x * factor, with the input declared as `shape`.
Model scaled(Shape shape, float factor) {
  return Builder()
      .input("x", std::move(shape))
      .constant("factor", Tensor::scalar(factor))
      .node("Mul", {"x", "factor"}, "y")
      .output("y");
}
Model open_batch(float factor) {
  return scaled({Dim::named("n"), Dim::of(4)}, factor);
}

TEST(Evaluate, CountsRightSamplesWhateverTheBatch) {
  const Folder folder;
  const DataSet data = data_of(folder, logits(), kLabels);
  const Model models[] = {open_batch(1), scaled({Dim::of(1), Dim::of(4)}, 1),
                          scaled({Dim::of(3), Dim::of(4)}, 1), scaled({Dim::of(4)}, 1)};
  for (const Model& model : models) {
    for (int64_t batch : {1, 3, 7, 100}) {
      Session session = session_of(model);
      EvaluateOptions options;
      options.batch = batch;
      auto found = evaluate(session, nullptr, data, options);
      ASSERT_TRUE(found.ok()) << found.error().message();
      EXPECT_EQ(found->samples, 7);
      EXPECT_EQ(found->classes, 4);
      ASSERT_TRUE(found->accuracy);
      EXPECT_DOUBLE_EQ(found->accuracy->top1, 100 * 5.0 / 7);
      EXPECT_DOUBLE_EQ(found->accuracy->top5, 100);
      EXPECT_LT(found->accuracy->top1_low, found->accuracy->top1);
      EXPECT_GT(found->accuracy->top1_high, found->accuracy->top1);
      EXPECT_FALSE(found->compared);
    }
  }
}

TEST(Evaluate, ComparesWithTheBaselineSampleBySample) {
  const Folder folder;
  const DataSet data = data_of(folder, logits(), kLabels);
  Session model = session_of(open_batch(1.1F));
  Session baseline = session_of(open_batch(1));
  auto found = evaluate(model, &baseline, data, {});
  ASSERT_TRUE(found.ok()) << found.error().message();
  // f - 1.1 f = -0.1 f: 20 dB; the products round to 2^-24 of values up to ten times the error.
  EXPECT_NEAR(found->sqnr_db, 20, 1e-4);
  EXPECT_EQ(found->same_top1, 100);
  ASSERT_TRUE(found->difference && found->baseline_accuracy);
  EXPECT_EQ(found->difference->points, 0);
  EXPECT_EQ(found->difference->mcnemar_p, 1);

  // All logits equal: class 0 for every sample. Right in samples 0, 4, 5, 6; the baseline in 0
  // to 4.
  Session zero = session_of(open_batch(0));
  found = evaluate(zero, &baseline, data, {});
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_DOUBLE_EQ(found->accuracy->top1, 100 * 4.0 / 7);
  EXPECT_DOUBLE_EQ(found->difference->points, -100.0 / 7);
  EXPECT_EQ(found->difference->only_model_right, 2);
  EXPECT_EQ(found->difference->only_baseline_right, 3);
  EXPECT_NEAR(found->difference->mcnemar_p, 1, 1e-12);  // 2 against 3: as even as it gets
  EXPECT_DOUBLE_EQ(found->same_top1, 100 * 2.0 / 7);
  EXPECT_EQ(found->sqnr_db, 0);  // all of the signal is lost
}

TEST(Evaluate, WithoutLabelsOnlyTheLogitsAreCompared) {
  const Folder folder;
  const DataSet data = data_of(folder, logits(), {});
  Session model = session_of(open_batch(1));
  EXPECT_EQ(evaluate(model, nullptr, data, {}).error().kind(), ErrorKind::kMisuse);
  Session same = session_of(open_batch(1));
  auto found = evaluate(model, &same, data, {});
  ASSERT_TRUE(found.ok());
  EXPECT_FALSE(found->accuracy || found->difference || found->baseline_accuracy);
  EXPECT_EQ(found->sqnr_db, std::numeric_limits<double>::infinity());
}

TEST(Evaluate, BrokenLogitsAreWrong) {
  const Folder folder;
  const DataSet data = data_of(folder, logits(), kLabels);
  Session model = session_of(open_batch(std::numeric_limits<float>::quiet_NaN()));
  auto found = evaluate(model, nullptr, data, {});
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->accuracy->top1, 0);
  EXPECT_EQ(found->accuracy->top5, 0);
  EXPECT_EQ(found->non_finite_samples, 7);
}

TEST(Evaluate, SaysWhatDoesNotFit) {
  const Folder folder;
  const DataSet data = data_of(folder, logits(), {0, 1, 2, 3, 0, 0, 4});
  Session model = session_of(open_batch(1));
  auto found = evaluate(model, nullptr, data, {});
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message().find("label 4"), std::string::npos) << found.error().message();

  Session merged =
      session_of(Builder()
                     .input("x", {Dim::named("n"), Dim::of(4)})
                     .constant("shape", Tensor::from<int64_t>({1}, std::vector<int64_t>{-1}))
                     .node("Reshape", {"x", "shape"}, "y")
                     .output("y"));
  found = evaluate(merged, nullptr, data, {});
  ASSERT_FALSE(found.ok());
  EXPECT_NE(found.error().message().find("output 'y'"), std::string::npos)
      << found.error().message();

  Session two = session_of(Builder()
                               .input("x", {Dim::named("n"), Dim::of(4)})
                               .input("z", {Dim::named("n"), Dim::of(4)})
                               .node("Add", {"x", "z"}, "y")
                               .output("y"));
  auto feeder = SampleFeeder::create(two, data);
  ASSERT_FALSE(feeder.ok());
  EXPECT_NE(feeder.error().message().find("'z'"), std::string::npos) << feeder.error().message();
}

}  // namespace
}  // namespace fewbit
