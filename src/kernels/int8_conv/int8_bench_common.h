#pragma once
// Shared by the 8-bit benchmarks: pairwise timing, the machine's measured VPDPBUSD rate, and oneDNN
// as the peer.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <random>
#include <vector>

#include "base/tensor.h"
#include "kernels/int8_conv/int8_conv_spec.h"

namespace fewbit::bench {

struct PairTime {
  double ours_us;
  double peer_us;
};

/// Runs both in turn for about `seconds` and returns the fastest time of each: other processes only
/// ever add time.
inline PairTime time_pair(const std::function<void()>& ours, const std::function<void()>& peer,
                          double seconds) {
  using Clock = std::chrono::steady_clock;
  const auto once = [](const std::function<void()>& fn) {
    const auto start = Clock::now();
    fn();
    return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
  };
  PairTime best = {1e30, 1e30};
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  for (int i = 0; i < 10 || Clock::now() < end; ++i) {
    // Several runs of one kind in a row, so that each finds its own data in the caches.
    for (int j = 0; j < 5; ++j) best.ours_us = std::min(best.ours_us, once(ours));
    for (int j = 0; j < 5; ++j) best.peer_us = std::min(best.peer_us, once(peer));
  }
  return best;
}

/// Multiply-adds per second of one core from registers on the selected instruction set, in 1e9;
/// the roof of every product here. 0 where there is no VPDPBUSD.
double vnni_gmacs();

/// 64-byte aligned, as the executor's arena is.
Tensor random_bytes(int64_t count);

/// A convolution with plain requantization to uint8, input zero point 0 and a scale per channel.
Int8ConvSpec plain_spec(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t groups);

/// oneDNN's convolution of the same layer (uint8 x int8 -> uint8, ReLU), weights reordered once.
/// Returns the closure that runs it.
std::function<void()> dnnl_conv(const Int8ConvSpec& spec, const Int8ConvShape& shape,
                                const Tensor& weights, const Tensor& input);

/// oneDNN's matrix product uint8 [m, k] x int8 [k, n] -> uint8.
std::function<void()> dnnl_matmul(int64_t m, int64_t n, int64_t k, const Tensor& a,
                                  const Tensor& b);

}  // namespace fewbit::bench
