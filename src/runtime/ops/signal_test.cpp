#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "runtime/ops/fourier.h"
#include "runtime/ops/op_test_support.h"

namespace fewbit::ops {
namespace {

using Ints = std::vector<int64_t>;

// Against the defining sum, for lengths of every kind: prime, power of two, mixed.
TEST(Fourier, IsTheDefiningSum) {
  for (const int64_t n : {1, 2, 3, 7, 8, 12, 30, 97}) {
    std::vector<std::complex<double>> x(static_cast<size_t>(n)), y(x);
    for (int64_t i = 0; i < n; ++i) {
      x[static_cast<size_t>(i)] = {std::sin(static_cast<double>(i * i)),
                                   std::cos(3.0 * static_cast<double>(i))};
    }
    Fourier(n, false).run(x.data(), y.data());
    for (int64_t k = 0; k < n; ++k) {
      std::complex<double> sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        sum += x[static_cast<size_t>(i)] *
               std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(i * k % n) /
                                   static_cast<double>(n));
      }
      // n additions of terms up to sqrt(2), each with a rounding of its own.
      EXPECT_NEAR(std::abs(y[static_cast<size_t>(k)] - sum), 0,
                  1e-15 * static_cast<double>(n * n + 8));
    }
  }
}

TEST(Dft, OneSidedThereAndBack) {
  const Tensor x = floats({1, 5, 1}, {1, 4, -2, 3, 0.5F});
  const auto dft = [](const Tensor& t, int64_t inverse, int64_t length) {
    return OpCall("DFT", 20)
        .in(t)
        .in(Tensor::scalar(length))
        .attr("onesided", int64_t{1})
        .attr("inverse", inverse)
        .output();
  };
  const Tensor spectrum = dft(x, 0, 5);
  EXPECT_EQ(spectrum.dims(), (Dims{1, 3, 2}));
  const Tensor back = dft(spectrum, 1, 5);
  ASSERT_EQ(back.dims(), x.dims());
  for (int64_t i = 0; i < 5; ++i) EXPECT_NEAR(back.data<float>()[i], x.data<float>()[i], 1e-6);
}

TEST(Dft, PadsAndCuts) {
  const Tensor x = floats({1, 2, 1}, {1, 2});
  const auto first = [&](int64_t length) {
    return OpCall("DFT", 20).in(x).in(Tensor::scalar(length)).output().data<float>()[0];
  };
  EXPECT_EQ(first(4), 3);
  EXPECT_EQ(first(1), 1);
  for (const int64_t length : {int64_t{0}, int64_t{-1}, INT64_MAX}) {
    EXPECT_NE(OpCall("DFT", 20).in(x).in(Tensor::scalar(length)).error(), "");
  }
  EXPECT_NE(OpCall("DFT", 20).in(x).none().in(Tensor::scalar(int64_t{2})).error(), "");
  EXPECT_NE(OpCall("DFT", 17).in(x).attr("axis", int64_t{5}).error(), "");
}

TEST(Stft, CutsFrames) {
  const Tensor x = floats({1, 5, 1}, {1, 2, 3, 4, 5});
  const auto stft = [&](int64_t step, int64_t length) {
    return OpCall("STFT", 17).in(x).in(Tensor::scalar(step)).none().in(Tensor::scalar(length));
  };
  const Tensor y = stft(2, 2).output();
  ASSERT_EQ(y.dims(), (Dims{1, 2, 2, 2}));
  EXPECT_EQ(y.data<float>()[0], 3);   // 1 + 2
  EXPECT_EQ(y.data<float>()[2], -1);  // 1 - 2
  EXPECT_EQ(y.data<float>()[4], 7);   // 3 + 4
  EXPECT_NE(stft(0, 2).error(), "");
  EXPECT_NE(stft(1, 6).error(), "");
  EXPECT_NE(stft(1, 0).error(), "");
}

TEST(Windows, PeriodicAndSymmetric) {
  const auto hann = [](int64_t size, int64_t periodic) {
    return OpCall("HannWindow", 17).in(Tensor::scalar(size)).attr("periodic", periodic).output();
  };
  EXPECT_NEAR(hann(4, 1).data<float>()[2], 1, 1e-7);
  EXPECT_NEAR(hann(5, 0).data<float>()[2], 1, 1e-7);
  EXPECT_EQ(hann(0, 1).elements(), 0);
  EXPECT_EQ(hann(1, 0).elements(), 1);
  EXPECT_NE(OpCall("HannWindow", 17).in(Tensor::scalar(int64_t{-1})).error(), "");
  EXPECT_NE(OpCall("HannWindow", 17)
                .in(Tensor::scalar(int64_t{3}))
                .attr("output_datatype", int64_t{14})
                .error(),
            "");
}

OpCall mel(int64_t bands, int64_t length, int64_t rate, float low, float high) {
  OpCall call("MelWeightMatrix", 17);
  call.in(Tensor::scalar(bands)).in(Tensor::scalar(length)).in(Tensor::scalar(rate));
  return call.in(Tensor::scalar(low)).in(Tensor::scalar(high));
}

TEST(MelWeightMatrix, RefusesEdgesOutsideTheSpectrum) {
  EXPECT_EQ(mel(8, 16, 8192, 0, 4096).output().dims(), (Dims{9, 8}));
  EXPECT_NE(mel(8, 16, 8192, 0, 1e9F).error(), "");
  EXPECT_NE(mel(8, 16, 8192, -10, 4096).error(), "");
  EXPECT_NE(mel(8, 16, 8192, 0, NAN).error(), "");
  EXPECT_NE(mel(0, 16, 8192, 0, 4096).error(), "");
  EXPECT_NE(mel(8, 16, 0, 0, 4096).error(), "");
  EXPECT_NE(mel(INT64_MAX, 16, 8192, 0, 4096).error(), "");
}

OpCall nms(std::vector<float> scores, int64_t most) {
  OpCall call("NonMaxSuppression", 11);
  call.in(floats({1, 3, 4}, {0, 0, 1, 1, 1, 1, 0, 0.1F, 5, 5, 6, 6}));
  call.in(floats({1, 1, 3}, std::move(scores))).in(Tensor::scalar(most));
  return call.in(Tensor::scalar(0.5F));
}

TEST(NonMaxSuppression, KeepsTheBestOfOverlappingBoxes) {
  EXPECT_EQ(values<int64_t>(nms({0.1F, 0.9F, 0.5F}, 3).output()), (Ints{0, 0, 1, 0, 0, 2}));
  EXPECT_EQ(values<int64_t>(nms({0.5F, 0.5F, 0.5F}, 3).output()), (Ints{0, 0, 0, 0, 0, 2}));
  EXPECT_EQ(values<int64_t>(nms({0.1F, 0.9F, 0.5F}, 1).output()), (Ints{0, 0, 1}));
  EXPECT_EQ(nms({0.1F, 0.9F, 0.5F}, -4).output().dims(), (Dims{0, 3}));
  EXPECT_EQ(values<int64_t>(nms({NAN, 0.9F, NAN}, 3).output()), (Ints{0, 0, 1}));
  EXPECT_NE(nms({1, 1, 1}, 3).attr("center_point_box", int64_t{2}).error(), "");
}

TEST(Training, OneStepEach) {
  const auto step = [](const char* op, int64_t count) {
    OpCall call(op, 1, "ai.onnx.preview.training");
    call.in(Tensor::scalar(0.5F)).in(Tensor::scalar(count));
    return call.in(floats({1}, {1})).in(floats({1}, {2})).in(floats({1}, {0}));
  };
  const Tensor x = step("Momentum", 0)
                       .attr("alpha", 0.9F)
                       .attr("beta", 0.1F)
                       .attr("norm_coefficient", 0.0F)
                       .attr("mode", std::string("standard"))
                       .outputs(2)
                       .output();
  EXPECT_EQ(values<float>(x), (std::vector<float>{0}));
  EXPECT_NEAR(step("Adagrad", 0).outputs(2).output().data<float>()[0], 0.5, 1e-6);
  EXPECT_NE(step("Adam", 0).outputs(3).error(), "");
  EXPECT_NE(step("Momentum", 0).attr("mode", std::string("odd")).outputs(2).error(), "");
}

}  // namespace
}  // namespace fewbit::ops
