#include "data/preprocess.h"

#include "data/test_support.h"
#include "numerics/half.h"

namespace fewbit {
namespace {

std::vector<float> values(const Result<Tensor>& t) {
  EXPECT_TRUE(t.ok()) << (t.ok() ? "" : t.error().message());
  return {t->span<float>().begin(), t->span<float>().end()};
}

TEST(Preprocess, LayoutsAndValues) {
  const Image image{2, 1, 3, {10, 20, 30, 40, 50, 60}};
  Preprocess steps;
  EXPECT_EQ(values(preprocess_image(image, steps, "x")),
            (std::vector<float>{10, 40, 20, 50, 30, 60}));
  EXPECT_EQ(preprocess_image(image, steps, "x")->dims(), (Dims{3, 1, 2}));
  steps.layout = PixelLayout::kNhwc;
  EXPECT_EQ(values(preprocess_image(image, steps, "x")),
            (std::vector<float>{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(preprocess_image(image, steps, "x")->dims(), (Dims{1, 2, 3}));
  steps.scale = 10;
  steps.mean = {1, 2, 3};
  steps.std = {2};
  EXPECT_EQ(values(preprocess_image(image, steps, "x")),
            (std::vector<float>{0, 0, 0, 1.5F, 1.5F, 1.5F}));
}

TEST(Preprocess, CropTakesTheCentre) {
  Preprocess steps;
  steps.crop = Size{2, 1};
  const Image image{
      4, 5, 1, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}};
  // 5 - 2 = 3 rows are cut: one above, two below; 3 columns: one left, two right.
  EXPECT_EQ(values(preprocess_image(image, steps, "x")), (std::vector<float>{5, 9}));
  steps.crop = Size{6, 2};
  EXPECT_ERROR(preprocess_image(image, steps, "pic.png"),
               "pic.png: is 5 x 4 (height x width), too small to crop 6 x 2; resize it first");
}

TEST(Preprocess, ResizeKeepsOrChangesTheShape) {
  const Image image = pattern(40, 20, 3);
  const auto dims = [&](const Preprocess& steps) {
    return preprocess_image(image, steps, "x")->dims();
  };
  Preprocess steps;
  steps.resize_short = 9;
  EXPECT_EQ(dims(steps), (Dims{3, 9, 18}));
  steps.resize_short.reset();
  for (const Fit fit : {Fit::kStretch, Fit::kCover, Fit::kContain}) {
    steps.fit = fit;
    steps.resize = Size{12, 11};
    EXPECT_EQ(dims(steps), (Dims{3, 12, 11}));
    steps.resize = Size{1, 50};
    EXPECT_EQ(dims(steps), (Dims{3, 1, 50}));
  }
  // Contained in a square: a quarter of the height stays empty above and below.
  steps.fit = Fit::kContain;
  steps.resize = Size{40, 40};
  steps.pad = 77;
  const auto padded = values(preprocess_image(image, steps, "x"));
  EXPECT_EQ(padded[0], 77);
  EXPECT_EQ(padded[9 * 40 + 5], 77);
  EXPECT_EQ(padded[10 * 40], image.pixels[0]);
  EXPECT_EQ(padded[39 * 40], 77);
  steps.resize_short = 1 << 16;
  EXPECT_ERROR(preprocess_image(pattern(4, 1, 1), steps, "x"), "is more than");
}

TEST(Preprocess, ChannelsMustFit) {
  Preprocess steps;
  steps.mean = {1, 2, 3};
  EXPECT_ERROR(preprocess_image(pattern(4, 4, 1), steps, "x"), "x: has 1 channels, but mean has 3");
  steps.channels = Channels::kRgb;
  EXPECT_TRUE(preprocess_image(pattern(4, 4, 1), steps, "x").ok());
  EXPECT_ERROR(preprocess_image(pattern(4, 4, 2), steps, "x"), "has 2 channels, expected 1 or 3");
}

TEST(Preprocess, ArraysOfAnyLayoutAndType) {
  Preprocess steps;
  steps.crop = Size{1, 1};
  steps.source_layout = PixelLayout::kNhw;
  const std::vector<uint8_t> pixels = {0, 1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(values(preprocess_picture(Tensor::from<uint8_t>({3, 3}, pixels), steps, "x")),
            (std::vector<float>{4}));
  steps.source_layout = PixelLayout::kNchw;
  const std::vector<float> planes = {0, 1, 2, 3, 4, 5, 6, 7, 8, 0, -1, -2, -3, -4, -5, -6, -7, -8};
  EXPECT_EQ(values(preprocess_picture(Tensor::from<float>({2, 3, 3}, planes), steps, "x")),
            (std::vector<float>{4, -4}));
  // A channels-first array of bytes is resized as the same picture channels-last is.
  Preprocess resize;
  resize.resize = Size{2, 2};
  resize.source_layout = PixelLayout::kNchw;
  const Image rgb = pattern(5, 4, 3);
  std::vector<uint8_t> planar;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t i = 0; i < 20; ++i) planar.push_back(rgb.pixels[3 * i + c]);
  }
  EXPECT_EQ(values(preprocess_picture(Tensor::from<uint8_t>({3, 4, 5}, planar), resize, "x")),
            values(preprocess_image(rgb, resize, "x")));
  EXPECT_ERROR(preprocess_picture(Tensor::zeros(DType::kUint8, {3, 0, 5}), resize, "x"),
               "has no elements");
}

TEST(Preprocess, ValuesWithoutShape) {
  Preprocess steps;
  steps.scale = 2;
  steps.mean = {1};
  const Tensor in = Tensor::from<int32_t>({2}, {2, 6});
  EXPECT_EQ(values(preprocess_values(in, steps, "x")), (std::vector<float>{0, 2}));
  EXPECT_EQ(values(preprocess_values(in, {}, "x")), (std::vector<float>{2, 6}));
}

}  // namespace
}  // namespace fewbit
