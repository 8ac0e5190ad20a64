#include <limits>

#include "numerics/convert.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

constexpr int64_t kFar = std::numeric_limits<int64_t>::max();

// [2, 3] = 0 .. 5
Tensor grid() {
  return ints({2, 3}, {0, 1, 2, 3, 4, 5});
}

TEST(Shape, StartAndEndAreHeldToTheRank) {
  Tensor x = floats({2, 3, 0}, {});
  EXPECT_EQ(values<int64_t>(OpCall("Shape", 13).in(x).output()), (std::vector<int64_t>{2, 3, 0}));
  EXPECT_EQ(
      values<int64_t>(
          OpCall("Shape", 15).in(x).attr("start", int64_t{-2}).attr("end", int64_t{9}).output()),
      (std::vector<int64_t>{3, 0}));
  EXPECT_EQ(
      OpCall("Shape", 15).in(x).attr("start", int64_t{2}).attr("end", int64_t{1}).output().dims(),
      (Dims{0}));
  EXPECT_EQ(values<int64_t>(OpCall("Size", 13).in(grid()).output()), (std::vector<int64_t>{6}));
}

TEST(Reshape, ZerosAndTheOpenDimension) {
  auto dims = [](Dims from, std::vector<int64_t> to, int64_t allow_zero = 0) {
    return OpCall("Reshape", 14)
        .in(Tensor::zeros(DType::kFloat32, std::move(from)))
        .in(int_list(std::move(to)))
        .attr("allowzero", allow_zero)
        .output()
        .dims();
  };
  EXPECT_EQ(dims({2, 3}, {0, -1}), (Dims{2, 3}));
  EXPECT_EQ(dims({2, 3}, {3, -1, 1}), (Dims{3, 2, 1}));
  EXPECT_EQ(dims({0, 3}, {3, 0}, 1), (Dims{3, 0}));
  EXPECT_EQ(dims({1}, {}), (Dims{}));
  auto refused = [](Dims from, std::vector<int64_t> to) {
    OpCall("Reshape", 14)
        .in(Tensor::zeros(DType::kFloat32, std::move(from)))
        .in(int_list(std::move(to)))
        .error();
  };
  refused({2, 3}, {4, -1});
  refused({2, 3}, {-1, -1});
  refused({2, 3}, {-2, -3});
  refused({6}, {1, 0});
  refused({2, 3}, {int64_t{1} << 40, int64_t{1} << 40});
}

TEST(Flatten, AxisMayBeTheRank) {
  Tensor x = Tensor::zeros(DType::kFloat32, {2, 3, 4});
  auto dims = [&](int64_t axis) {
    return OpCall("Flatten", 13).in(x).attr("axis", axis).output().dims();
  };
  EXPECT_EQ(dims(0), (Dims{1, 24}));
  EXPECT_EQ(dims(3), (Dims{24, 1}));
  EXPECT_EQ(dims(-1), (Dims{6, 4}));
  OpCall("Flatten", 13).in(x).attr("axis", int64_t{4}).error();
}

TEST(Squeeze, AxesAsInputOrAttribute) {
  Tensor x = Tensor::zeros(DType::kFloat32, {1, 2, 1});
  EXPECT_EQ(OpCall("Squeeze", 13).in(x).output().dims(), (Dims{2}));
  EXPECT_EQ(OpCall("Squeeze", 13).in(x).in(int_list({-1})).output().dims(), (Dims{1, 2}));
  EXPECT_EQ(OpCall("Squeeze", 11).in(x).attr("axes", std::vector<int64_t>{0}).output().dims(),
            (Dims{2, 1}));
  OpCall("Squeeze", 13).in(x).in(int_list({1})).error();
  EXPECT_EQ(OpCall("Unsqueeze", 13).in(x).in(int_list({-1, 0})).output().dims(),
            (Dims{1, 1, 2, 1, 1}));
  OpCall("Unsqueeze", 13).in(x).in(int_list({0, -5})).error();
  OpCall("Unsqueeze", 13).in(x).in(int_list({5})).error();
}

TEST(Transpose, PermutesAndChecks) {
  EXPECT_EQ(values<int64_t>(OpCall("Transpose", 13).in(grid()).output()),
            (std::vector<int64_t>{0, 3, 1, 4, 2, 5}));
  Tensor x = ints({2, 1, 3, 2}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_EQ(
      values<int64_t>(
          OpCall("Transpose", 13).in(x).attr("perm", std::vector<int64_t>{3, 0, 1, 2}).output()),
      (std::vector<int64_t>{0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11}));
  OpCall("Transpose", 13).in(grid()).attr("perm", std::vector<int64_t>{0, 0}).error();
  OpCall("Transpose", 13).in(grid()).attr("perm", std::vector<int64_t>{0}).error();
}

TEST(Transpose, MovesPackedElements) {
  // uint4 [2, 3]: six codes in three bytes, an odd number in each row.
  Tensor codes = *cast(tensor<uint8_t>({2, 3}, {1, 2, 3, 4, 5, 6}), DType::kUint4);
  Tensor y = OpCall("Transpose", 21).in(codes).output();
  ASSERT_EQ(y.type(), DType::kUint4);
  EXPECT_EQ(values<uint8_t>(*cast(y, DType::kUint8)), (std::vector<uint8_t>{1, 4, 2, 5, 3, 6}));
}

TEST(Expand, BroadcastsBothWays) {
  Tensor y = OpCall("Expand", 13).in(ints({2, 1}, {1, 2})).in(int_list({2, 1, 2})).output();
  EXPECT_EQ(y.dims(), (Dims{2, 2, 2}));
  EXPECT_EQ(values<int64_t>(y), (std::vector<int64_t>{1, 1, 2, 2, 1, 1, 2, 2}));
  OpCall("Expand", 13).in(grid()).in(int_list({2, 4})).error();
  OpCall("Expand", 13).in(grid()).in(int_list({-1, 1, 1})).error();
  OpCall("Expand", 13).in(ints({1}, {1})).in(int_list({kFar})).error();
}

TEST(Tile, RepeatsEachAxis) {
  EXPECT_EQ(values<int64_t>(OpCall("Tile", 13).in(ints({2}, {1, 2})).in(int_list({2})).output()),
            (std::vector<int64_t>{1, 2, 1, 2}));
  EXPECT_EQ(OpCall("Tile", 13).in(grid()).in(int_list({0, 1})).output().dims(), (Dims{0, 3}));
  OpCall("Tile", 13).in(grid()).in(int_list({1})).error();
  OpCall("Tile", 13).in(grid()).in(int_list({1, -1})).error();
  OpCall("Tile", 13).in(grid()).in(int_list({1, kFar})).error();
}

TEST(DepthToSpace, InvertsSpaceToDepth) {
  Tensor x =
      OpCall("Reshape", 14)
          .in(OpCall("Range", 11).in(ints({}, {0})).in(ints({}, {48})).in(ints({}, {1})).output())
          .in(int_list({1, 3, 4, 4}))
          .output();
  for (const char* mode : {"DCR", "CRD"}) {
    Tensor deep = OpCall("SpaceToDepth", 28)
                      .in(x)
                      .attr("blocksize", int64_t{2})
                      .attr("mode", std::string(mode))
                      .output();
    EXPECT_EQ(deep.dims(), (Dims{1, 12, 2, 2}));
    EXPECT_TRUE(OpCall("DepthToSpace", 28)
                    .in(deep)
                    .attr("blocksize", int64_t{2})
                    .attr("mode", std::string(mode))
                    .output()
                    .identical(x))
        << mode;
  }
  OpCall("DepthToSpace", 13).in(x).attr("blocksize", int64_t{2}).error();
  OpCall("SpaceToDepth", 13).in(x).attr("blocksize", int64_t{3}).error();
  OpCall("SpaceToDepth", 13).in(x).error();
}

TEST(Concat, ChecksWhatItJoins) {
  EXPECT_EQ(values<int64_t>(OpCall("Concat", 13)
                                .in(grid())
                                .in(ints({2, 1}, {7, 8}))
                                .attr("axis", int64_t{-1})
                                .output()),
            (std::vector<int64_t>{0, 1, 2, 7, 3, 4, 5, 8}));
  OpCall("Concat", 13).in(grid()).in(ints({1, 1}, {7})).attr("axis", int64_t{1}).error();
  OpCall("Concat", 13).in(grid()).in(floats({2, 1}, {7, 8})).attr("axis", int64_t{1}).error();
  OpCall("Concat", 13).in(grid()).in(ints({2}, {7, 8})).attr("axis", int64_t{1}).error();
}

TEST(Split, ByLengthsOrEqually) {
  OpCall call("Split", 18);
  call.in(ints({5}, {1, 2, 3, 4, 5})).attr("num_outputs", int64_t{2}).outputs(2);
  EXPECT_EQ(values<int64_t>(call.output(0)), (std::vector<int64_t>{1, 2, 3}));
  EXPECT_EQ(values<int64_t>(call.output(1)), (std::vector<int64_t>{4, 5}));
  EXPECT_EQ(values<int64_t>(OpCall("Split", 13)
                                .in(grid())
                                .in(int_list({0, 3}))
                                .attr("axis", int64_t{1})
                                .outputs(2)
                                .output(1)),
            (std::vector<int64_t>{0, 1, 2, 3, 4, 5}));
  OpCall("Split", 13).in(ints({5}, {1, 2, 3, 4, 5})).outputs(2).error();
  OpCall("Split", 13).in(grid()).in(int_list({1, 2})).outputs(2).error();
  OpCall("Split", 13).in(grid()).in(int_list({3, -1})).outputs(2).error();
}

TEST(Slice, BoundsAreNumpys) {
  auto slice = [](std::vector<int64_t> start, std::vector<int64_t> end, std::vector<int64_t> axes,
                  std::vector<int64_t> step) {
    return values<int64_t>(OpCall("Slice", 13)
                               .in(grid())
                               .in(int_list(std::move(start)))
                               .in(int_list(std::move(end)))
                               .in(int_list(std::move(axes)))
                               .in(int_list(std::move(step)))
                               .output());
  };
  EXPECT_EQ(slice({0}, {kFar}, {1}, {2}), (std::vector<int64_t>{0, 2, 3, 5}));
  EXPECT_EQ(slice({-1}, {-kFar - 1}, {1}, {-1}), (std::vector<int64_t>{2, 1, 0, 5, 4, 3}));
  EXPECT_EQ(slice({-1, 1}, {-9, 2}, {0, -1}, {-1, 1}), (std::vector<int64_t>{4, 1}));
  EXPECT_EQ(slice({2}, {1}, {1}, {1}), (std::vector<int64_t>{}));
  EXPECT_EQ(slice({kFar}, {0}, {0}, {-kFar - 1}), (std::vector<int64_t>{3, 4, 5}));
  EXPECT_EQ(values<int64_t>(OpCall("Slice", 9)
                                .in(grid())
                                .attr("starts", std::vector<int64_t>{1})
                                .attr("ends", std::vector<int64_t>{9})
                                .output()),
            (std::vector<int64_t>{3, 4, 5}));
  OpCall("Slice", 13).in(grid()).in(int_list({0})).in(int_list({1, 2})).error();
  OpCall("Slice", 13)
      .in(grid())
      .in(int_list({0}))
      .in(int_list({1}))
      .in(int_list({0}))
      .in(int_list({0}))
      .error();
}

TEST(Pad, Modes) {
  auto pad = [](const std::string& mode, std::vector<int64_t> pads) {
    return values<int64_t>(OpCall("Pad", 19)
                               .in(ints({3}, {1, 2, 3}))
                               .in(int_list(std::move(pads)))
                               .attr("mode", mode)
                               .output());
  };
  EXPECT_EQ(pad("constant", {1, 2}), (std::vector<int64_t>{0, 1, 2, 3, 0, 0}));
  EXPECT_EQ(pad("constant", {-1, 1}), (std::vector<int64_t>{2, 3, 0}));
  EXPECT_EQ(pad("edge", {2, 1}), (std::vector<int64_t>{1, 1, 1, 2, 3, 3}));
  EXPECT_EQ(pad("reflect", {2, 2}), (std::vector<int64_t>{3, 2, 1, 2, 3, 2, 1}));
  EXPECT_EQ(pad("wrap", {4, 1}), (std::vector<int64_t>{3, 1, 2, 3, 1, 2, 3, 1}));
  EXPECT_EQ(values<int64_t>(OpCall("Pad", 18)
                                .in(grid())
                                .in(int_list({0, 1}))
                                .in(ints({}, {9}))
                                .in(int_list({-1}))
                                .output()),
            (std::vector<int64_t>{0, 1, 2, 9, 3, 4, 5, 9}));
  EXPECT_EQ(values<float>(OpCall("Pad", 2)
                              .in(floats({1}, {1}))
                              .attr("pads", std::vector<int64_t>{1, 0})
                              .attr("value", 5.0F)
                              .output()),
            (std::vector<float>{5, 1}));
  OpCall("Pad", 19).in(grid()).in(int_list({1})).error();
  OpCall("Pad", 19).in(grid()).in(int_list({-3, 0, 0, 0})).error();
  OpCall("Pad", 19).in(grid()).in(int_list({kFar, 0, kFar, 0})).error();
  OpCall("Pad", 19).in(grid()).in(int_list({0, 0, 0, 0})).attr("mode", std::string("x")).error();
  OpCall("Pad", 19)
      .in(ints({0}, {}))
      .in(int_list({1, 0}))
      .attr("mode", std::string("edge"))
      .error();
}

TEST(CenterCropPad, OddPixels) {
  auto call = [](std::vector<int64_t> v, int64_t to) {
    return values<int64_t>(
        OpCall("CenterCropPad", 18).in(int_list(std::move(v))).in(int_list({to})).output());
  };
  EXPECT_EQ(call({1, 2, 3, 4}, 1), (std::vector<int64_t>{2}));
  EXPECT_EQ(call({1}, 4), (std::vector<int64_t>{0, 1, 0, 0}));
  OpCall("CenterCropPad", 18).in(grid()).in(int_list({1, -1})).error();
}

TEST(ReverseSequence, KeepsTheTail) {
  Tensor x = ints({2, 3}, {0, 1, 2, 3, 4, 5});
  EXPECT_EQ(values<int64_t>(OpCall("ReverseSequence", 10)
                                .in(x)
                                .in(int_list({2, 3}))
                                .attr("batch_axis", int64_t{0})
                                .attr("time_axis", int64_t{1})
                                .output()),
            (std::vector<int64_t>{1, 0, 2, 5, 4, 3}));
  OpCall("ReverseSequence", 10).in(x).in(int_list({2, 3, 1})).error();
  OpCall("ReverseSequence", 10).in(x).in(int_list({2, 0, 0})).attr("time_axis", int64_t{1}).error();
}

TEST(Generate, RangeConstantEyeOneHotTrilu) {
  auto range = [](float a, float b, float d) {
    return OpCall("Range", 11).in(floats({}, {a})).in(floats({}, {b})).in(floats({}, {d}));
  };
  EXPECT_EQ(values<float>(range(10, 4, -2.5F).output()), (std::vector<float>{10, 7.5F, 5}));
  EXPECT_EQ(range(1, 1, 1).output().elements(), 0);
  range(0, 1, 0).error();
  range(0, std::numeric_limits<float>::infinity(), 1).error();
  EXPECT_EQ(values<int64_t>(OpCall("Range", 11)
                                .in(ints({}, {kFar - 1}))
                                .in(ints({}, {-kFar}))
                                .in(ints({}, {-kFar}))
                                .output()),
            (std::vector<int64_t>{kFar - 1, -1}));

  EXPECT_EQ(OpCall("ConstantOfShape", 9).in(int_list({2, 0})).output().dims(), (Dims{2, 0}));
  EXPECT_EQ(
      values<int64_t>(
          OpCall("ConstantOfShape", 9).in(int_list({2})).attr("value", int_list({7})).output()),
      (std::vector<int64_t>{7, 7}));
  OpCall("ConstantOfShape", 9).in(int_list({-1})).error();
  OpCall("ConstantOfShape", 9).in(int_list({int64_t{1} << 31, int64_t{1} << 31})).error();

  EXPECT_EQ(
      values<float>(
          OpCall("EyeLike", 9).in(grid()).attr("k", int64_t{1}).attr("dtype", int64_t{1}).output()),
      (std::vector<float>{0, 1, 0, 0, 0, 1}));

  EXPECT_EQ(values<int64_t>(OpCall("OneHot", 11)
                                .in(int_list({1, -1, 9}))
                                .in(ints({}, {3}))
                                .in(int_list({0, 5}))
                                .output()),
            (std::vector<int64_t>{0, 5, 0, 0, 0, 5, 0, 0, 0}));
  OpCall("OneHot", 11).in(int_list({1})).in(ints({}, {-3})).in(int_list({0, 5})).error();

  EXPECT_EQ(values<int64_t>(OpCall("Trilu", 14).in(grid()).in(ints({}, {1})).output()),
            (std::vector<int64_t>{0, 1, 2, 0, 0, 5}));
  EXPECT_EQ(
      values<int64_t>(
          OpCall("Trilu", 14).in(grid()).in(ints({}, {-kFar})).attr("upper", int64_t{0}).output()),
      (std::vector<int64_t>(6, 0)));
}

TEST(Cast, ChangesTypesAndBits) {
  Tensor x = floats({2}, {1.75F, -1.75F});
  EXPECT_EQ(values<int64_t>(OpCall("Cast", 13).in(x).attr("to", int64_t{7}).output()),
            (std::vector<int64_t>{1, -1}));
  EXPECT_EQ(OpCall("CastLike", 15).in(x).in(grid()).output().type(), DType::kInt64);
  OpCall("Cast", 13).in(x).attr("to", int64_t{99}).error();
  EXPECT_EQ(values<uint32_t>(OpCall("BitCast", 26).in(x).attr("to", int64_t{12}).output()),
            (std::vector<uint32_t>{0x3fe00000, 0xbfe00000}));
  OpCall("BitCast", 26).in(x).attr("to", int64_t{7}).error();
}

TEST(Col2Im, SumsOverlappingBlocks) {
  // A 1 x 2 block at the two places of a row of three.
  Tensor x = floats({1, 2, 2}, {1, 2, 3, 4});
  Tensor y = OpCall("Col2Im", 18).in(x).in(int_list({1, 3})).in(int_list({1, 2})).output();
  EXPECT_EQ(y.dims(), (Dims{1, 1, 1, 3}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{1, 5, 4}));
  OpCall("Col2Im", 18).in(x).in(int_list({1, 9})).in(int_list({1, 2})).error();
  OpCall("Col2Im", 18).in(x).in(int_list({1, 3})).in(int_list({1, 0})).error();
}

TEST(Constant, EveryForm) {
  EXPECT_EQ(values<float>(OpCall("Constant", 13).attr("value_float", 2.0F).output()),
            (std::vector<float>{2}));
  EXPECT_EQ(values<int64_t>(
                OpCall("Constant", 13).attr("value_ints", std::vector<int64_t>{1, 2}).output()),
            (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(OpCall("Constant", 13).attr("value_string", std::string("s")).output().strings()[0],
            "s");
  OpCall("Constant", 13).error();
}

}  // namespace
}  // namespace fewbit::ops
