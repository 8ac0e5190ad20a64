#include "runtime/op.h"

#include <utility>

namespace fewbit {

RuntimeValue::RuntimeValue() = default;
RuntimeValue::RuntimeValue(Tensor tensor) : tensor_(std::move(tensor)) {}
RuntimeValue::RuntimeValue(const RuntimeValue& other) = default;
RuntimeValue::RuntimeValue(RuntimeValue&& other) noexcept = default;
RuntimeValue& RuntimeValue::operator=(const RuntimeValue& other) = default;
RuntimeValue& RuntimeValue::operator=(RuntimeValue&& other) noexcept = default;
RuntimeValue::~RuntimeValue() = default;

RuntimeValue RuntimeValue::sequence(std::vector<RuntimeValue> items) {
  RuntimeValue v;
  v.items_ = std::make_shared<std::vector<RuntimeValue>>(std::move(items));
  return v;
}

OpContext::OpContext(const Node& node, std::vector<RuntimeValue> inputs)
    : node_(node), inputs_(std::move(inputs)), outputs_(node.outputs.size()) {}

OpContext::~OpContext() = default;

const Tensor& OpContext::in(size_t i) const {
  FEWBIT_CHECK(i < inputs_.size() && inputs_[i].is_tensor(), node_.op_type, i);
  return inputs_[i].tensor();
}

Tensor& OpContext::out(size_t i, DType type, const Dims& dims) {
  outputs_[i] = allocator ? allocator(i, type, dims) : Tensor::uninitialized(type, dims);
  return outputs_[i].tensor();
}

void OpContext::set_out(size_t i, RuntimeValue value) {
  outputs_[i] = std::move(value);
}

}  // namespace fewbit
