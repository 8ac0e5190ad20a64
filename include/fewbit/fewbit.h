#pragma once
// The public C++ API of Fewbit: load a network and run it; quantize a file. Nothing else of Fewbit
// is needed to use it, and nothing throws.
//
//   auto network = fewbit::Network::load("model_int8.onnx");
//   if (!network) { std::cerr << network.error() << "\n"; return 1; }
//   fewbit::Array image{"image", fewbit::ElementType::kFloat32, {1, 3, 224, 224}, bytes};
//   auto outputs = network->run({image});

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace fewbit {

/// A value, or one sentence that says what went wrong: the file, the place, expected and found.
template <typename T>
class [[nodiscard]] Expected {
 public:
  static Expected success(T value) {
    Expected e;
    e.value_ = std::move(value);
    return e;
  }
  static Expected failure(std::string message) {
    Expected e;
    e.error_ = std::move(message);
    return e;
  }
  explicit operator bool() const { return value_.has_value(); }
  T& operator*() { return *value_; }
  const T& operator*() const { return *value_; }
  T* operator->() { return &*value_; }
  const T* operator->() const { return &*value_; }
  const std::string& error() const { return error_; }

 private:
  std::optional<T> value_;
  std::string error_;
};

/// Element types of inputs and outputs, with ONNX's numbers.
enum class ElementType : int {
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kInt32 = 6,
  kInt64 = 7,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
  kBfloat16 = 16,
};

/// A dense row-major tensor with its name. `bytes` holds the elements.
struct Array {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> dims;
  std::vector<std::byte> bytes;
};

/// An array of floats; `values` must be as many as the dimensions say.
Array float_array(std::string name, std::vector<int64_t> dims, const std::vector<float>& values);
/// The elements of a float32 array; empty for another type.
std::vector<float> floats_of(const Array& array);

/// What a network takes or gives; an open dimension is -1.
struct Port {
  std::string name;
  ElementType type = ElementType::kFloat32;
  std::vector<int64_t> dims;
};

/// A network ready to run. Not for use by two threads at once; load one per thread.
class Network {
 public:
  /// Reads an ONNX or .fewbit file, float or quantized. `threads` 0: all processors.
  static Expected<Network> load(const std::string& path, int threads = 0);

  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;
  ~Network();

  const std::vector<Port>& inputs() const;
  const std::vector<Port>& outputs() const;

  /// Runs the network. Inputs in any order, by name; outputs in the order of outputs().
  Expected<std::vector<Array>> run(const std::vector<Array>& inputs);

 private:
  struct State;
  explicit Network(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Quantizes the model `input` into `output`, both ONNX (.onnx) or Fewbit's own (.fewbit).
/// `recipe_toml`: the text of a recipe (docs/quantization.md); calibration.data must name a
/// data-set file. Returns the report as JSON.
Expected<std::string> quantize(const std::string& input, const std::string& output,
                               const std::string& recipe_toml);

/// "0.1.0"
std::string library_version();

}  // namespace fewbit
