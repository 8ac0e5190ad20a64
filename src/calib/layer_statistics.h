#pragma once
// Statistics of what a weighted layer sees at its input: the mean of every input weight position,
// and on request the Gram matrix of the input patches. Both stream; memory does not grow with the
// data.
//
// A dense layer, a grouped and a depthwise convolution are one case: `groups` products, each of
// K = taps * channels_per_group inputs, in the weight's own order (channel-major: [c, ky, kx]).

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "graph/graph.h"

namespace fewbit {

struct PatchGeometry {
  int64_t groups = 1;
  int64_t channels = 0;  ///< of the input, all groups
  bool spatial = false;  ///< convolution over [N, C, H, W]; else rows of [.., C]
  int64_t kernel_h = 1, kernel_w = 1;
  int64_t stride_h = 1, stride_w = 1;
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t pad_top = 0, pad_left = 0, pad_bottom = 0, pad_right = 0;

  int64_t taps() const { return kernel_h * kernel_w; }
  int64_t group_elems() const { return channels / groups * taps(); }  ///< K
};

/// Of a Conv (1-D and 2-D), Gemm or MatMul node with a constant weight.
/// `input_dims`: static spatial dimensions are needed only with auto_pad.
Result<PatchGeometry> patch_geometry(const Graph& graph, const Node& node);

class LayerStatistics {
 public:
  struct Options {
    bool gram = false;
    /// Patches taken per sample for the Gram matrix (spread evenly; all rows of a dense layer up to
    /// this number). The default is one map of 14 x 14.
    int64_t positions = 196;
  };
  LayerStatistics(PatchGeometry geometry, Options options);

  /// float32 [N, C, H, W], [N, C, W] or [.., C]. Padding counts as zero.
  void add(const Tensor& input);
  /// The same of codes: real = scale * (code - zero). 8 or 16 bits.
  void add_codes(const Tensor& codes, float scale, int32_t zero);

  const PatchGeometry& geometry() const { return geometry_; }
  /// Mean of the inputs that meet weight [g, k]: [groups * K].
  std::vector<double> means() const;
  /// Sum over patches of x x^T: [groups, K, K], with the number of patches. Not centred. Only the
  /// upper triangles are filled (row <= column), which is what LAPACK's symmetric routines read.
  const std::vector<float>& gram() const { return gram_; }
  int64_t gram_patches() const { return gram_patches_; }

 private:
  template <typename T>
  void add_values(const T* values, const Dims& dims, float scale, float zero);
  template <typename T>
  void add_means(const T* image, int64_t height, int64_t width, float scale, float zero);
  template <typename T>
  void add_gram(const T* values, const Dims& dims, float scale, float zero);

  PatchGeometry geometry_;
  Options options_;
  std::vector<double> sums_;
  int64_t positions_seen_ = 0;
  std::vector<float> gram_;
  int64_t gram_patches_ = 0;
};

}  // namespace fewbit
