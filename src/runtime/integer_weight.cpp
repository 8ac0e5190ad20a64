#include "runtime/integer_weight.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "formats/affine.h"

namespace fewbit {
namespace {

// weight = scale * (step[g] * code - zero[g])
struct IntegerRow {
  float scale = 1;
  std::vector<int32_t> step, zero;  // [groups]
};

// Scales and offsets that were multiplied out have lost half a unit in their last place.
constexpr float kTolerance = 1e-5F;

// The largest number of which all scales are whole multiples, up to 63 times (scales of 6 bits);
// 0 if there is none.
float common_scale(std::span<const float> scales) {
  float least = INFINITY;
  for (const float s : scales) {
    if (s != 0) least = std::min(least, std::abs(s));
  }
  if (std::isinf(least)) return 1;  // zeros only
  constexpr int kMostMultiple = 63;
  for (int parts = 1; parts <= kMostMultiple; ++parts) {
    const float base = least / static_cast<float>(parts);
    const bool fits = std::all_of(scales.begin(), scales.end(), [&](float s) {
      const float multiple = std::abs(s) / base;
      return multiple < 256 &&
             std::abs(multiple - std::nearbyint(multiple)) <= kTolerance * multiple;
    });
    if (fits) return base;
  }
  return 0;
}

// Rows of a matrix, one after the other.
class Reader {
 public:
  explicit Reader(const PackedMatrix& matrix)
      : matrix_(matrix), form_(affine_form(matrix.format, matrix.cols)) {
    if (!form_) return;
    const auto groups =
        static_cast<size_t>((matrix.cols + form_->group_elems - 1) / form_->group_elems);
    scales_.resize(groups);
    offsets_.resize(groups);
    codes_.resize(static_cast<size_t>(matrix.cols));
  }

  bool is_affine() const { return form_.has_value(); }
  int bits() const { return form_->bits; }
  const std::vector<uint8_t>& codes() const { return codes_; }

  // Empty if row `row` is no integers under one scale in int8.
  std::optional<IntegerRow> read(int64_t row) {
    affine_row(matrix_, row, codes_.data(), scales_.data(), offsets_.data());
    const float base = common_scale(scales_);
    if (base == 0 || !std::isfinite(base)) return std::nullopt;
    // Halves too: levels -1 and 1 have their zero in the middle.
    for (const int parts : {1, 2}) {
      IntegerRow out;
      out.scale = base / static_cast<float>(parts);
      if (fill(parts, out)) return out;
    }
    return std::nullopt;
  }

  int32_t integer(const IntegerRow& row, int64_t col) const {
    const auto g = static_cast<size_t>(col / form_->group_elems);
    return row.step[g] * codes_[static_cast<size_t>(col)] - row.zero[g];
  }

 private:
  bool fill(int parts, IntegerRow& out) const {
    for (size_t g = 0; g < scales_.size(); ++g) {
      const auto step = static_cast<int32_t>(std::nearbyint(scales_[g] / out.scale));
      const float zero =
          scales_[g] == 0 ? 0 : -offsets_[g] / scales_[g] * static_cast<float>(parts);
      if (std::abs(zero - std::nearbyint(zero)) > kTolerance * std::max(1.0F, std::abs(zero))) {
        return false;
      }
      if (scales_[g] == 0 && offsets_[g] != 0) return false;
      out.step.push_back(step);
      out.zero.push_back(static_cast<int32_t>(std::nearbyint(zero)) * step / parts);
      const int32_t first = -out.zero.back();
      const int32_t last = step * ((1 << form_->bits) - 1) - out.zero.back();
      if (std::min(first, last) < -128 || std::max(first, last) > 127) return false;
    }
    return true;
  }

  const PackedMatrix& matrix_;
  std::optional<AffineForm> form_;
  std::vector<uint8_t> codes_;
  std::vector<float> scales_, offsets_;
};

}  // namespace

Result<std::vector<float>> integer_scales(const PackedMatrix& matrix) {
  Reader reader(matrix);
  if (!reader.is_affine()) {
    return unsupported("{} weights are no integers under a scale", matrix.format.name());
  }
  std::vector<float> scales;
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const std::optional<IntegerRow> integers = reader.read(row);
    if (!integers) {
      return unsupported(
          "{} weights are no int8 integers under one scale per output: integer kernels take "
          ":channel "
          "or :tensor",
          matrix.format.name());
    }
    scales.push_back(integers->scale);
  }
  return scales;
}

Tensor integer_tensor(const PackedMatrix& matrix, std::span<const float> scales, const Dims& dims,
                      bool transposed) {
  std::vector<int8_t> rows(static_cast<size_t>(matrix.rows * matrix.cols));
  Reader reader(matrix);
  for (int64_t row = 0; row < matrix.rows; ++row) {
    const std::optional<IntegerRow> integers = reader.read(row);
    FEWBIT_CHECK(integers.has_value(), matrix.format.name(), row);
    const float ratio = integers->scale / scales[static_cast<size_t>(row)];
    for (int64_t c = 0; c < matrix.cols; ++c) {
      const auto value = static_cast<float>(reader.integer(*integers, c));
      rows[static_cast<size_t>(row * matrix.cols + c)] =
          static_cast<int8_t>(std::nearbyint(ratio * value));
    }
  }
  Tensor out = Tensor::from(dims, rows);
  if (!transposed) return out;
  const int64_t width = dims.back();
  transpose_matrices(rows.data(), matrix.rows / width, width, matrix.cols, out.data<int8_t>());
  return out;
}

Result<std::optional<Tensor>> integers_of(const Graph& graph, ValueId value) {
  if (value == kNone || graph.value(value).producer == kNone) return std::optional<Tensor>();
  const Node& node = graph.node(graph.value(value).producer);
  if (!is_integer_decode(node)) return std::optional<Tensor>();
  FEWBIT_ASSIGN(const PackedMatrix matrix, packed_matrix(graph, node));
  const std::vector<float> scales = node.get_floats("scales");
  if (static_cast<int64_t>(scales.size()) != matrix.rows) {
    return bad_input("{}: {} scales for {} rows", node.label(), scales.size(), matrix.rows);
  }
  return std::optional(
      integer_tensor(matrix, scales, node.get_ints("dims"), node.get_int("transposed", 0) != 0));
}

Node integer_decode_node(const Node& decode, const std::vector<float>& scales) {
  Node node = decode;
  node.op_type = "DecodeIntegers";
  node.attributes["scales"] = scales;
  return node;
}

}  // namespace fewbit
