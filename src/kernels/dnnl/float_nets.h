#pragma once
// The convolutions of four well-known networks at batch 1, for choosing layouts and measuring.
// Pools, concatenations and classifier heads are left out: they are a few percent and move no
// arithmetic between layouts.
#include <string>
#include <vector>

namespace fewbit::bench {

/// One convolution of a square image: `in` channels of `size` x `size`.
struct ConvLayer {
  int in, out, kernel, stride, size, groups;
  int pad_begin, pad_end;
  bool residual;
};

struct Net {
  std::string name;
  std::vector<ConvLayer> layers;
};

inline ConvLayer dense(int in, int out, int k, int stride, int size, bool residual = false) {
  const int begin = stride == 2 ? (k - 1) / 2 : k / 2;
  return {in, out, k, stride, size, 1, k == 1 ? 0 : begin, k == 1 ? 0 : k / 2, residual};
}
/// 3x3 depthwise, TensorFlow's SAME padding (with stride 2 only at the end).
inline ConvLayer depthwise(int channels, int stride, int size) {
  return {channels, channels, 3, stride, size, channels, stride == 2 ? 0 : 1, 1, false};
}

inline Net mobilenet_v2() {
  struct Stage {
    int expand, out, count, stride;
  };
  Net net{"mobilenet_v2", {{3, 32, 3, 2, 224, 1, 0, 1, false}}};
  int channels = 32, size = 112;
  for (const Stage& s : {Stage{1, 16, 1, 1},
                         {6, 24, 2, 2},
                         {6, 32, 3, 2},
                         {6, 64, 4, 2},
                         {6, 96, 3, 1},
                         {6, 160, 3, 2},
                         {6, 320, 1, 1}}) {
    for (int i = 0; i < s.count; ++i) {
      const int hidden = channels * s.expand, stride = i == 0 ? s.stride : 1;
      if (s.expand > 1) net.layers.push_back(dense(channels, hidden, 1, 1, size));
      net.layers.push_back(depthwise(hidden, stride, size));
      size /= stride;
      net.layers.push_back(dense(hidden, s.out, 1, 1, size, i > 0));
      channels = s.out;
    }
  }
  net.layers.push_back(dense(320, 1280, 1, 1, 7));
  net.layers.push_back(dense(1280, 1000, 1, 1, 1));
  return net;
}

inline Net mobilenet_v1_075() {
  Net net{"mobilenet_v1_0.75", {{3, 24, 3, 2, 224, 1, 0, 1, false}}};
  int channels = 24, size = 112;
  const int outs[] = {48, 96, 96, 192, 192, 384, 384, 384, 384, 384, 384, 768, 768};
  const int strides[] = {1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1};
  for (int i = 0; i < 13; ++i) {
    net.layers.push_back(depthwise(channels, strides[i], size));
    size /= strides[i];
    net.layers.push_back(dense(channels, outs[i], 1, 1, size));
    channels = outs[i];
  }
  net.layers.push_back(dense(768, 1000, 1, 1, 1));
  return net;
}

inline Net squeezenet11() {
  Net net{"squeezenet1.1", {{3, 64, 3, 2, 224, 1, 0, 0, false}}};
  struct Fire {
    int in, squeeze, expand, size;
  };
  for (const Fire& f : {Fire{64, 16, 64, 55},
                        {128, 16, 64, 55},
                        {128, 32, 128, 27},
                        {256, 32, 128, 27},
                        {256, 48, 192, 13},
                        {384, 48, 192, 13},
                        {384, 64, 256, 13},
                        {512, 64, 256, 13}}) {
    net.layers.push_back(dense(f.in, f.squeeze, 1, 1, f.size));
    net.layers.push_back(dense(f.squeeze, f.expand, 1, 1, f.size));
    net.layers.push_back(dense(f.squeeze, f.expand, 3, 1, f.size));
  }
  net.layers.push_back(dense(512, 1000, 1, 1, 13));
  return net;
}

inline Net resnet20() {
  Net net{"resnet20", {dense(3, 16, 3, 1, 32)}};
  int channels = 16, size = 32;
  for (int out : {16, 32, 64})
    for (int i = 0; i < 3; ++i) {
      const int stride = i == 0 && out > 16 ? 2 : 1;
      net.layers.push_back({channels, out, 3, stride, size, 1, 1, 1, false});
      size /= stride;
      net.layers.push_back(dense(out, out, 3, 1, size, true));
      channels = out;
    }
  return net;
}

inline std::vector<Net> float_nets() {
  return {mobilenet_v2(), mobilenet_v1_075(), squeezenet11(), resnet20()};
}

}  // namespace fewbit::bench
