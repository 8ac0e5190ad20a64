#include <gtest/gtest.h>

#include <cmath>

#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Strings = std::vector<std::string>;

// h_t = x_t + h_{t-1}: one unit, weights 1, Affine as the activation.
OpCall summing_rnn(const Tensor& x) {
  OpCall call("RNN", 14);
  call.in(x).in(floats({1, 1, 1}, {1})).in(floats({1, 1, 1}, {1}));
  call.attr("hidden_size", int64_t{1}).attr("activations", Strings{"affine"});
  return call;
}

TEST(Rnn, RunsBothWays) {
  const Tensor x = floats({3, 1, 1}, {1, 2, 4});
  EXPECT_EQ(values<float>(summing_rnn(x).output()), (std::vector<float>{1, 3, 7}));
  EXPECT_EQ(values<float>(summing_rnn(x).attr("direction", std::string("reverse")).output()),
            (std::vector<float>{7, 6, 4}));
}

TEST(Rnn, ShortSequencesEndInZerosAndKeepTheirState) {
  const Tensor x = floats({3, 2, 1}, {1, 10, 2, 20, 4, 40});
  auto result = summing_rnn(x).none().in(tensor<int32_t>({2}, {2, 3})).outputs(2).run();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(values<float>((*result)[0].tensor()), (std::vector<float>{1, 10, 3, 30, 0, 70}));
  EXPECT_EQ(values<float>((*result)[1].tensor()), (std::vector<float>{3, 70}));
  EXPECT_NE(summing_rnn(x).none().in(tensor<int32_t>({2}, {2, 4})).error(), "");
  EXPECT_NE(summing_rnn(x).none().in(tensor<int32_t>({2}, {-1, 1})).error(), "");
}

TEST(Rnn, BatchFirstMovesTheBatch) {
  const Tensor x = floats({2, 3, 1}, {1, 2, 4, 10, 20, 40});
  const Tensor y = summing_rnn(x).attr("layout", int64_t{1}).output();
  EXPECT_EQ(y.dims(), (Dims{2, 3, 1, 1}));
  EXPECT_EQ(values<float>(y), (std::vector<float>{1, 3, 7, 10, 30, 70}));
}

TEST(Lstm, FollowsItsEquations) {
  // Zero weights: every gate is f(bias). i = s(1), o = s(2), f = s(3), c = tanh(4) after c0 = 0.5.
  const auto s = [](double x) { return 1 / (1 + std::exp(-x)); };
  const std::vector<float> zero(4, 0.0F);
  auto result = OpCall("LSTM", 14)
                    .in(floats({1, 1, 1}, {1}))
                    .in(floats({1, 4, 1}, zero))
                    .in(floats({1, 4, 1}, zero))
                    .in(floats({1, 8}, {1, 2, 3, 4, 0, 0, 0, 0}))
                    .none()
                    .none()
                    .in(floats({1, 1, 1}, {0.5F}))
                    .in(floats({1, 3}, {0, 1, 0}))
                    .outputs(3)
                    .run();
  ASSERT_TRUE(result.ok());
  const double c = s(3) * 0.5 + s(1) * std::tanh(4);
  EXPECT_NEAR((*result)[2].tensor().data<float>()[0], c, 1e-6);
  EXPECT_NEAR((*result)[1].tensor().data<float>()[0], s(2 + c) * std::tanh(c), 1e-6);
}

TEST(Gru, ResetsBeforeOrAfterTheProduct) {
  // z = s(0) = 1/2, r = s(ln 3) = 3/4, h = identity(R h + rb) with R = 2, rb = 1, h0 = 4.
  const auto gru = [](int64_t after) {
    return OpCall("GRU", 14)
        .in(floats({1, 1, 1}, {0}))
        .in(floats({1, 3, 1}, {0, 0, 0}))
        .in(floats({1, 3, 1}, {0, 0, 2}))
        .in(floats({1, 6}, {0, std::log(3.0F), 0, 0, 0, 1}))
        .none()
        .in(floats({1, 1, 1}, {4}))
        .attr("activations", Strings{"Sigmoid", "Affine"})
        .attr("linear_before_reset", after)
        .output()
        .data<float>()[0];
  };
  EXPECT_NEAR(gru(0), 0.5 * (2 * 3 + 1) + 0.5 * 4, 1e-5);
  EXPECT_NEAR(gru(1), 0.5 * (0.75 * 9) + 0.5 * 4, 1e-5);
}

TEST(Rnn, RefusesWhatDoesNotFit) {
  const Tensor x = floats({3, 1, 1}, {1, 2, 4});
  EXPECT_NE(summing_rnn(x).attr("direction", std::string("bidirectional")).error(), "");
  EXPECT_NE(summing_rnn(x).attr("direction", std::string("sideways")).error(), "");
  EXPECT_NE(summing_rnn(x).attr("activations", Strings{"sine"}).error(), "");
  EXPECT_NE(summing_rnn(x).attr("activations", Strings{"Tanh", "Tanh"}).error(), "");
  EXPECT_NE(summing_rnn(x).attr("hidden_size", int64_t{2}).error(), "");
  EXPECT_NE(summing_rnn(floats({3, 1}, {1, 2, 4})).error(), "");
  EXPECT_NE(summing_rnn(floats({3, 1, 2}, {1, 2, 4, 1, 2, 4})).error(), "");
}

}  // namespace
}  // namespace fewbit::ops
