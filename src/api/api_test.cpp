#include <gtest/gtest.h>

#include "fewbit/fewbit.h"

namespace fewbit {
namespace {

const std::string kModel =
    std::string(FEWBIT_SOURCE_DIR) + "/examples/fashion_mnist/fashion_mobilenet.onnx";

TEST(Api, RunsANetwork) {
  auto network = Network::load(kModel, 1);
  ASSERT_TRUE(network) << network.error();
  ASSERT_EQ(network->inputs().size(), 1U);
  EXPECT_EQ(network->inputs()[0].name, "image");
  EXPECT_EQ(network->inputs()[0].dims, (std::vector<int64_t>{-1, 1, 28, 28}));
  auto outputs =
      network->run({float_array("image", {2, 1, 28, 28}, std::vector<float>(2 * 784, 0.5F))});
  ASSERT_TRUE(outputs) << outputs.error();
  ASSERT_EQ((*outputs)[0].dims, (std::vector<int64_t>{2, 10}));
  std::vector<float> logits = floats_of((*outputs)[0]);
  // Both samples are the same picture.
  for (size_t i = 0; i < 10; ++i) EXPECT_FLOAT_EQ(logits[i], logits[i + 10]);
}

TEST(Api, ErrorsNameTheProblem) {
  auto missing = Network::load("no_such_file.onnx");
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().find("no_such_file.onnx"), std::string::npos);
  auto network = Network::load(kModel, 1);
  ASSERT_TRUE(network);
  auto wrong_shape = network->run({float_array("image", {1, 3, 28, 28}, std::vector<float>(2352))});
  ASSERT_FALSE(wrong_shape);
  EXPECT_NE(wrong_shape.error().find("image"), std::string::npos);
  auto wrong_size = network->run({float_array("image", {1, 1, 28, 28}, std::vector<float>(3))});
  ASSERT_FALSE(wrong_size);
  EXPECT_NE(wrong_size.error().find("12"), std::string::npos);
  auto bad_recipe = quantize(kModel, "out.onnx", "shceme = \"w8a8\"");
  ASSERT_FALSE(bad_recipe);
  EXPECT_NE(bad_recipe.error().find("scheme"), std::string::npos);
}

}  // namespace
}  // namespace fewbit
