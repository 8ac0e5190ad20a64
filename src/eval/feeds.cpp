#include "eval/feeds.h"

#include <algorithm>
#include <cstring>

#include "base/text.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

int64_t samples_of(const Batch& batch) {
  return batch.feeds.empty() ? 0 : batch.feeds.front().value.dim(0);
}

// Rows [begin, begin + count) along the first axis, the last one repeated until there are `rows`.
Tensor take_rows(const Tensor& all, int64_t begin, int64_t count, int64_t rows) {
  if (begin == 0 && count == all.dim(0) && rows == count) return all;
  Dims dims = all.dims();
  dims[0] = rows;
  Tensor out = Tensor::uninitialized(all.type(), dims);
  const auto row_bytes = static_cast<size_t>(all.bytes() / all.dim(0));
  for (int64_t i = 0; i < rows; ++i) {
    const auto from = static_cast<size_t>(begin + std::min(i, count - 1));
    std::memcpy(out.raw() + static_cast<size_t>(i) * row_bytes, all.raw() + from * row_bytes,
                row_bytes);
  }
  return out;
}

}  // namespace

Result<SampleFeeder> SampleFeeder::create(const Session& session, const DataSet& data) {
  SampleFeeder feeder;
  const auto inputs = session.inputs();
  if (inputs.empty()) return bad_input("the model has no inputs to feed a data set to");
  if (session.outputs().empty()) return bad_input("the model has no outputs");
  std::vector<std::string> names;
  for (const auto& [name, type] : inputs) names.push_back(name);
  if (data.size() == 0) return bad_input("the data set is empty");
  FEWBIT_ASSIGN(const Batch first, data.get(0));
  for (const Feed& feed : first.feeds) {
    const std::string wanted = feed.name.empty() ? names.front() : feed.name;
    auto found = std::find(names.begin(), names.end(), wanted);
    if (found == names.end()) {
      return bad_input(
          "the data set feeds an input '{}' that the model does not have{}; its inputs "
          "are: {}",
          wanted, did_you_mean(names, wanted), join(names, ", "));
    }
    const ValueType& type = inputs[static_cast<size_t>(found - names.begin())].second;
    feeder.inputs_.push_back({wanted, type});
    if (!type.shape) continue;
    int64_t fixed = 0;
    if (static_cast<int64_t>(type.shape->size()) + 1 == feed.value.rank()) {
      fixed = 1;
    } else if (!type.shape->empty() && type.shape->front().known()) {
      fixed = type.shape->front().value;
    }
    if (fixed > 0) feeder.fixed_batch_ = fixed;
  }
  for (const std::string& name : names) {
    bool fed = std::any_of(feeder.inputs_.begin(), feeder.inputs_.end(),
                           [&](const Input& input) { return input.name == name; });
    if (!fed) return bad_input("the data set does not feed the model's input '{}'", name);
  }
  return feeder;
}

Result<Feeds> SampleFeeder::feeds(const Batch& batch, int64_t begin, int64_t count) const {
  Feeds out;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const ValueType& type = inputs_[i].type;
    Tensor value = take_rows(batch.feeds[i].value, begin, count, std::max(count, fixed_batch_));
    if (type.elem != value.type() && is_float(type.elem) && is_float(value.type())) {
      FEWBIT_ASSIGN(value, cast(value, type.elem));
    }
    if (type.shape && static_cast<int64_t>(type.shape->size()) + 1 == value.rank()) {
      value = value.reshaped(Dims(value.dims().begin() + 1, value.dims().end()));
    }
    out.emplace_back(inputs_[i].name, std::move(value));
  }
  return out;
}

Result<Tensor> run_logits(Session& session, const SampleFeeder& feeder, const Batch& batch) {
  const int64_t samples = samples_of(batch);
  const int64_t piece = feeder.fixed_batch() > 0 ? feeder.fixed_batch() : samples;
  const std::string name = session.outputs().front().first;
  Tensor all;
  for (int64_t begin = 0; begin < samples; begin += piece) {
    const int64_t count = std::min(piece, samples - begin);
    FEWBIT_ASSIGN(const Feeds feeds, feeder.feeds(batch, begin, count));
    FEWBIT_ASSIGN(const auto outputs, session.run(feeds));
    const RuntimeValue& first = outputs.front();
    if (!first.is_tensor() || !can_cast(first.tensor().type()) ||
        first.tensor().type() == DType::kString) {
      return bad_input("output '{}' is no numeric tensor: it cannot be evaluated", name);
    }
    const Tensor& output = first.tensor();
    const bool batched = output.rank() > 0 && output.dim(0) == piece;
    if (piece > 1 && !batched) {
      return bad_input(
          "output '{}' has shape {} for a batch of {}: its first dimension should be the "
          "batch (a batch size of 1 may help)",
          name, to_string(output.dims()), piece);
    }
    FEWBIT_ASSIGN(const Tensor values, cast(output, DType::kFloat32));
    const int64_t row = values.elements() / piece;
    if (!all.defined()) all = Tensor::uninitialized(DType::kFloat32, {samples, row});
    if (row != all.dim(1)) {
      return bad_input("output '{}': {} values per sample, then {}", name, all.dim(1), row);
    }
    std::memcpy(all.data<float>() + begin * row, values.data<float>(),
                static_cast<size_t>(count * row) * sizeof(float));
  }
  return all;
}

}  // namespace fewbit
