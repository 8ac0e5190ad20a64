#pragma once
// What the layers with weights see at their inputs on the calibration data: means, for the
// correction of biases, and mean squares, for the scale search.

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "calib/calibrate.h"
#include "calib/layer_statistics.h"
#include "graph/graph.h"
#include "passes/placement.h"

namespace fewbit {

/// Input means of the layers with quantized weights, over the first batches only.
class InputMeanListeners {
 public:
  /// Adds listeners to `listeners`; this object must outlive them. `batch_limit`: means are
  /// compared with those of the quantized network on the same samples, and only those: another
  /// sample's mean differs by more than quantization changes it.
  Status listen(const Graph& graph, const Placement& placement, int64_t batch_limit,
                Listeners& listeners);
  /// By layer, [inputs of a weight row] of each group.
  std::map<std::string, std::vector<double>> means() const;

 private:
  std::map<std::string, LayerStatistics> statistics_;
};

/// Mean squares of the inputs of Conv, Gemm and MatMul with constant weights. The mean square of
/// what a weight is multiplied with is what the square of its error costs at the layer's output, as
/// long as inputs are uncorrelated.
class InputSquareListeners {
 public:
  /// As above.
  Status listen(const Graph& graph, Listeners& listeners);
  /// By layer, as PackOptions::importance takes it: [cols], or [rows, cols] for a convolution with
  /// groups of channels, each of which has inputs of its own.
  std::map<std::string, std::vector<float>> importance() const;

 private:
  struct Entry {
    LayerStatistics squares;
    int64_t rows;  // output channels
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace fewbit
