#include <limits>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

Tensor grid() {
  return ints({2, 3}, {0, 1, 2, 3, 4, 5});
}

TEST(Gather, NegativeIndicesAndScalars) {
  Tensor y =
      OpCall("Gather", 13).in(grid()).in(ints({1, 2}, {-1, 0})).attr("axis", int64_t{1}).output();
  EXPECT_EQ(y.dims(), (Dims{2, 1, 2}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{2, 0, 5, 3}));
  EXPECT_EQ(OpCall("Gather", 13).in(grid()).in(ints({}, {1})).output().dims(), (Dims{3}));
  EXPECT_EQ(OpCall("Gather", 13).in(grid()).in(ints({0}, {})).output().dims(), (Dims{0, 3}));
  OpCall("Gather", 13).in(grid()).in(ints({}, {2})).error();
  OpCall("Gather", 13).in(grid()).in(ints({}, {-3})).error();
  OpCall("Gather", 13).in(grid()).in(floats({}, {0})).error();
  OpCall("Gather", 13).in(ints({}, {1})).in(ints({}, {0})).error();
}

TEST(GatherElements, StaysInsideTheData) {
  EXPECT_EQ(values<int64_t>(OpCall("GatherElements", 13)
                                .in(grid())
                                .in(ints({1, 2}, {-1, 0}))
                                .attr("axis", int64_t{0})
                                .output()),
            (std::vector<int64_t>{3, 1}));
  OpCall("GatherElements", 13).in(grid()).in(ints({1, 4}, {0, 0, 0, 0})).error();
  OpCall("GatherElements", 13).in(grid()).in(ints({1}, {0})).error();
  OpCall("GatherElements", 13).in(grid()).in(ints({1, 1}, {5})).error();
}

TEST(GatherNd, BlocksAndBatches) {
  Tensor x = ints({2, 2, 2}, {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_EQ(values<int64_t>(OpCall("GatherND", 13).in(x).in(ints({2, 2}, {0, 1, -1, 0})).output()),
            (std::vector<int64_t>{2, 3, 4, 5}));
  EXPECT_EQ(values<int64_t>(OpCall("GatherND", 13)
                                .in(x)
                                .in(ints({2, 1}, {1, 0}))
                                .attr("batch_dims", int64_t{1})
                                .output()),
            (std::vector<int64_t>{2, 3, 4, 5}));
  OpCall("GatherND", 13).in(x).in(ints({1, 1}, {2})).error();
  OpCall("GatherND", 13).in(x).in(ints({1, 4}, {0, 0, 0, 0})).error();
  OpCall("GatherND", 13).in(x).in(ints({}, {0})).error();
  OpCall("GatherND", 13).in(x).in(ints({2, 1}, {0, 0})).attr("batch_dims", int64_t{2}).error();
}

TEST(ScatterElements, ReplacesOrReduces) {
  Tensor x = ints({3}, {1, 2, 3});
  auto call = [&](const std::string& reduction) {
    return OpCall("ScatterElements", 18)
        .in(x)
        .in(int_list({0, 0, -1}))
        .in(int_list({10, 20, 30}))
        .attr("reduction", reduction);
  };
  EXPECT_EQ(values<int64_t>(call("none").output()), (std::vector<int64_t>{20, 2, 30}));
  EXPECT_EQ(values<int64_t>(call("add").output()), (std::vector<int64_t>{31, 2, 33}));
  EXPECT_EQ(values<int64_t>(call("mul").output()), (std::vector<int64_t>{200, 2, 90}));
  EXPECT_EQ(values<int64_t>(call("max").output()), (std::vector<int64_t>{20, 2, 30}));
  EXPECT_EQ(values<int64_t>(call("min").output()), (std::vector<int64_t>{1, 2, 3}));
  call("median").error();
  OpCall("ScatterElements", 18).in(x).in(int_list({3})).in(int_list({1})).error();
  OpCall("ScatterElements", 18).in(x).in(int_list({0})).in(int_list({1, 2})).error();
  OpCall("ScatterElements", 18).in(x).in(int_list({0})).in(floats({1}, {1})).error();
}

TEST(ScatterNd, WritesBlocks) {
  EXPECT_EQ(values<int64_t>(OpCall("ScatterND", 18)
                                .in(grid())
                                .in(ints({1, 1}, {-1}))
                                .in(ints({1, 3}, {7, 8, 9}))
                                .output()),
            (std::vector<int64_t>{0, 1, 2, 7, 8, 9}));
  OpCall("ScatterND", 18).in(grid()).in(ints({1, 1}, {2})).in(ints({1, 3}, {7, 8, 9})).error();
  OpCall("ScatterND", 18).in(grid()).in(ints({1, 1}, {0})).in(ints({1, 2}, {7, 8})).error();
}

TEST(TensorScatter, LinearAndCircular) {
  Tensor cache = ints({1, 3, 1}, {1, 2, 3});
  Tensor update = ints({1, 2, 1}, {8, 9});
  auto call = [&](int64_t at, const std::string& mode) {
    return OpCall("TensorScatter", 24).in(cache).in(update).in(int_list({at})).attr("mode", mode);
  };
  EXPECT_EQ(values<int64_t>(call(1, "linear").output()), (std::vector<int64_t>{1, 8, 9}));
  EXPECT_EQ(values<int64_t>(call(2, "circular").output()), (std::vector<int64_t>{9, 2, 8}));
  call(2, "linear").error();
  call(-1, "circular").error();
  call(std::numeric_limits<int64_t>::max(), "linear").error();
}

TEST(Sequence, EditsByPosition) {
  RuntimeValue seq = RuntimeValue::sequence({ints({}, {1}), ints({}, {2})});
  auto inserted = OpCall("SequenceInsert", 11).in(seq).in(ints({}, {9})).in(ints({}, {-1})).run();
  ASSERT_TRUE(inserted.ok());
  EXPECT_EQ(values<int64_t>(OpCall("SequenceAt", 11).in((*inserted)[0]).in(ints({}, {1})).output()),
            (std::vector<int64_t>{9}));
  auto erased = OpCall("SequenceErase", 11).in(seq).run();
  ASSERT_TRUE(erased.ok());
  EXPECT_EQ(values<int64_t>(OpCall("SequenceLength", 11).in((*erased)[0]).output()),
            (std::vector<int64_t>{1}));
  OpCall("SequenceAt", 11).in(seq).in(ints({}, {2})).error();
  OpCall("SequenceInsert", 11).in(seq).in(ints({}, {9})).in(ints({}, {3})).error();
  OpCall("SequenceErase", 11).in(RuntimeValue::sequence({})).error();
  OpCall("SequenceLength", 11).in(grid()).error();
}

TEST(Sequence, SplitsAndJoins) {
  auto parts =
      OpCall("SplitToSequence", 11).in(grid()).in(ints({}, {2})).attr("axis", int64_t{1}).run();
  ASSERT_TRUE(parts.ok());
  ASSERT_EQ((*parts)[0].items().size(), 2U);
  EXPECT_EQ((*parts)[0].items()[1].tensor().dims(), (Dims{2, 1}));
  EXPECT_TRUE(OpCall("ConcatFromSequence", 11)
                  .in((*parts)[0])
                  .attr("axis", int64_t{1})
                  .output()
                  .identical(grid()));
  auto rows = OpCall("SplitToSequence", 11).in(grid()).attr("keepdims", int64_t{0}).run();
  ASSERT_TRUE(rows.ok());
  EXPECT_TRUE(OpCall("ConcatFromSequence", 11)
                  .in((*rows)[0])
                  .attr("axis", int64_t{0})
                  .attr("new_axis", int64_t{1})
                  .output()
                  .identical(grid()));
  OpCall("SplitToSequence", 11).in(grid()).in(ints({}, {0})).error();
  OpCall("SplitToSequence", 11).in(grid()).in(int_list({1, 2})).error();
  OpCall("ConcatFromSequence", 11).in(RuntimeValue::sequence({})).attr("axis", int64_t{0}).error();
}

TEST(Optional, EmptyAndNot) {
  EXPECT_EQ(values<bool>(OpCall("OptionalHasElement", 18).none().output()),
            (std::vector<bool>{false}));
  EXPECT_EQ(values<bool>(OpCall("OptionalHasElement", 18).in(grid()).output()),
            (std::vector<bool>{true}));
  EXPECT_TRUE(OpCall("OptionalGetElement", 18).in(grid()).output().identical(grid()));
  OpCall("OptionalGetElement", 18).none().error();
}

TEST(Strings, ConcatSplitNormalizeMatch) {
  Tensor x = Tensor::strings({2}, {"a.b", ".c"});
  EXPECT_EQ(OpCall("StringConcat", 20).in(x).in(Tensor::strings({}, {"!"})).output().strings()[1],
            ".c!");
  OpCall split("StringSplit", 20);
  split.in(x).attr("delimiter", std::string(".")).outputs(2);
  EXPECT_EQ(split.output(0).dims(), (Dims{2, 2}));
  EXPECT_EQ(split.output(0).strings()[2], "");
  EXPECT_EQ(values<int64_t>(split.output(1)), (std::vector<int64_t>{2, 2}));
  Tensor none = OpCall("StringSplit", 20).in(Tensor::strings({0}, {})).outputs(2).output();
  EXPECT_EQ(none.dims(), (Dims{0, 0}));

  Tensor upper = OpCall("StringNormalizer", 10)
                     .in(Tensor::strings({3}, {"Mon", "\xc3\xa9t\xc3\xa9", "x"}))
                     .attr("stopwords", std::vector<std::string>{"mON"})
                     .attr("case_change_action", std::string("UPPER"))
                     .output();
  ASSERT_EQ(upper.dims(), (Dims{2}));
  EXPECT_EQ(upper.strings()[0], "\xc3\x89T\xc3\x89");

  EXPECT_EQ(values<bool>(OpCall("RegexFullMatch", 20)
                             .in(Tensor::strings({2}, {"ab12", "ab12-"}))
                             .attr("pattern", std::string(R"([a-z]+\d*)"))
                             .output()),
            (std::vector<bool>{true, false}));
  OpCall("RegexFullMatch", 20).in(x).attr("pattern", std::string("(")).error();
  // The matcher must not recurse over the text.
  EXPECT_EQ(values<bool>(OpCall("RegexFullMatch", 20)
                             .in(Tensor::strings({1}, {std::string(200000, 'a')}))
                             .attr("pattern", std::string("(a|b)*"))
                             .output()),
            (std::vector<bool>{true}));
}

TEST(Random, SeedsDecideAndMomentsFit) {
  auto normal = [](float seed) {
    return OpCall("RandomNormal", 22)
        .attr("shape", std::vector<int64_t>{10000})
        .attr("mean", 3.0F)
        .attr("scale", 2.0F)
        .attr("seed", seed)
        .output();
  };
  Tensor a = normal(1);
  EXPECT_TRUE(a.identical(normal(1)));
  EXPECT_FALSE(a.identical(normal(2)));
  double sum = 0;
  for (float v : a.span<float>()) sum += v;
  EXPECT_NEAR(sum / 10000, 3.0, 5 * 2.0 / 100);  // five standard errors
  Tensor coin =
      OpCall("Bernoulli", 15).in(floats({3}, {0, 1, 0})).attr("dtype", int64_t{9}).output();
  EXPECT_EQ(values<bool>(coin), (std::vector<bool>{false, true, false}));
  Tensor drawn = OpCall("Multinomial", 7)
                     .in(floats({1, 3}, {-1000, 0, -1000}))
                     .attr("sample_size", int64_t{4})
                     .output();
  EXPECT_EQ(values<int32_t>(drawn), (std::vector<int32_t>(4, 1)));
  OpCall("RandomUniform", 22).attr("shape", std::vector<int64_t>{-1}).error();
  OpCall("RandomUniform", 22)
      .attr("shape", std::vector<int64_t>{1})
      .attr("dtype", int64_t{7})
      .error();
}

TEST(Features, ExtractBinarizeEncode) {
  EXPECT_EQ(values<int64_t>(OpCall("ArrayFeatureExtractor", 1, "ai.onnx.ml")
                                .in(grid())
                                .in(int_list({2, 0}))
                                .output()),
            (std::vector<int64_t>{2, 0, 5, 3}));
  OpCall("ArrayFeatureExtractor", 1, "ai.onnx.ml").in(grid()).in(int_list({3})).error();
  EXPECT_EQ(values<float>(OpCall("Binarizer", 1, "ai.onnx.ml")
                              .in(floats({3}, {0, 1, 2}))
                              .attr("threshold", 1.0F)
                              .output()),
            (std::vector<float>{0, 0, 1}));
  OpCall encode("LabelEncoder", 4, "ai.onnx.ml");
  encode.in(floats({3}, {1, std::numeric_limits<float>::quiet_NaN(), 5}))
      .attr("keys_floats", std::vector<float>{1, -std::numeric_limits<float>::quiet_NaN()})
      .attr("values_strings", std::vector<std::string>{"one", "nan"});
  EXPECT_EQ(encode.output().strings()[1], "nan");
  EXPECT_EQ(encode.output().strings()[2], "_Unused");
}

}  // namespace
}  // namespace fewbit::ops
