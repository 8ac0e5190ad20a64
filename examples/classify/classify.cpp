// Loads a (quantized) network and classifies one Fashion-MNIST test image:
//
//   classify MODEL.onnx IMAGES.idx3-ubyte.gz INDEX

#include <fewbit/fewbit.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <numeric>

namespace {

constexpr std::array kClasses = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                 "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
constexpr int kPixels = 28 * 28;
constexpr int kHeaderBytes = 16;

// Image `index` of a gzipped IDX file, as the network was trained on them; empty if it is not
// there.
std::vector<float> read_image(const char* path, long index) {
  gzFile file = gzopen(path, "rb");
  if (file == nullptr) return {};
  std::array<unsigned char, kPixels> pixels{};
  bool ok = gzseek(file, kHeaderBytes + index * kPixels, SEEK_SET) >= 0 &&
            gzread(file, pixels.data(), kPixels) == kPixels;
  gzclose(file);
  std::vector<float> image;
  for (unsigned char p : pixels) {
    if (ok) image.push_back((static_cast<float>(p) / 255.0F - 0.2860F) / 0.3530F);
  }
  return image;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: classify MODEL.onnx IMAGES.idx3-ubyte.gz INDEX\n");
    return 2;
  }
  auto network = fewbit::Network::load(argv[1]);
  if (!network) {
    std::fprintf(stderr, "%s\n", network.error().c_str());
    return 1;
  }
  std::vector<float> image = read_image(argv[2], std::strtol(argv[3], nullptr, 10));
  if (image.empty()) {
    std::fprintf(stderr, "%s: no image %s\n", argv[2], argv[3]);
    return 1;
  }
  auto outputs = network->run({fewbit::float_array("image", {1, 1, 28, 28}, image)});
  if (!outputs) {
    std::fprintf(stderr, "%s\n", outputs.error().c_str());
    return 1;
  }
  std::vector<float> logits = fewbit::floats_of((*outputs)[0]);
  float largest = *std::max_element(logits.begin(), logits.end());
  float sum = 0;
  for (float& v : logits) sum += v = std::exp(v - largest);
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0U);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  for (size_t i = 0; i < 3; ++i) {
    std::printf("%5.1f %%  %s\n", 100 * logits[order[i]] / sum, kClasses[order[i]]);
  }
  return 0;
}
