// kind = "arrays": the rows of arrays in npy, npz or IDX files.

#include <filesystem>

#include "data/array_file.h"
#include "data/sample_source.h"
#include "numerics/convert.h"

namespace fewbit {
namespace {

/// One array, and what is done to its rows.
struct Input {
  FileArray array;
  ArrayInput spec;

  Result<Tensor> load(int64_t position) const {
    const Tensor row = array.rows(position, 1);
    const Tensor sample = row.reshaped(Dims(row.dims().begin() + 1, row.dims().end()));
    const Preprocess& steps = spec.preprocess;
    if (!steps.source_layout && !steps.changes_values()) return cast(sample, spec.type);
    const std::string name = fmt::format("{}[{}]", array.name(), position);
    FEWBIT_ASSIGN(const Tensor values, steps.source_layout
                                           ? preprocess_picture(sample, steps, name)
                                           : preprocess_values(sample, steps, name));
    return cast(values, spec.type);
  }
};

class ArraySource : public SampleSource {
 public:
  ArraySource(std::vector<Input> inputs, std::vector<int64_t> labels)
      : inputs_(std::move(inputs)), labels_(std::move(labels)) {}

  int64_t size() const override { return inputs_[0].array.dims()[0]; }
  std::vector<std::string> feeds() const override {
    std::vector<std::string> names;
    for (const Input& input : inputs_) names.push_back(input.spec.feed);
    return names;
  }
  std::string name(int64_t position) const override {
    return fmt::format("{}[{}]", inputs_[0].array.name(), position);
  }
  int64_t label(int64_t position) const override {
    return labels_.empty() ? -1 : labels_[static_cast<size_t>(position)];
  }

  Result<std::vector<Tensor>> load(int64_t position) const override {
    std::vector<Tensor> values;
    for (const Input& input : inputs_) {
      FEWBIT_ASSIGN(Tensor value, input.load(position));
      values.push_back(std::move(value));
    }
    return values;
  }

  Status hash(int64_t position, Sha256& into) const override {
    for (const Input& input : inputs_) {
      const Tensor row = input.array.rows(position, 1);
      into.update(name_of(row.type()));
      for (const int64_t d : row.dims()) into.update_number(static_cast<uint64_t>(d));
      into.update(std::span<const std::byte>(row.raw(), static_cast<size_t>(row.bytes())));
    }
    return {};
  }

 private:
  std::vector<Input> inputs_;
  std::vector<int64_t> labels_;
};

/// What must hold of an array before any of its rows is taken.
Status check_array(const FileArray& array, const Preprocess& steps) {
  const auto rank = static_cast<int64_t>(array.dims().size());
  if (rank == 0)
    return bad_input("{}: is a single number, expected one row per sample", array.name());
  if (steps.source_layout) {
    const bool planes_only = *steps.source_layout == PixelLayout::kNhw;
    const int64_t expected = planes_only ? 3 : 4;
    if (rank != expected) {
      return bad_input("{}: shape {} has {} dimensions, but its source_layout has {}", array.name(),
                       to_string(array.dims()), rank, expected);
    }
  }
  const bool resampled = steps.resize_short || steps.resize || steps.channels;
  if (resampled && array.type() != DType::kUint8) {
    return unsupported("{}: resize and channels need uint8 pixels, the array is {}", array.name(),
                       name_of(array.type()));
  }
  return {};
}

/// `labels` names an array beside the input's in its npz, or a file of its own.
Result<FileArray> open_labels(const DataSetFile& file, const FileArray& input) {
  const std::string path = file.resolve(file.labels);
  const std::string beside = file.resolve(file.inputs[0].file);
  std::error_code error;
  if (input.named() && !std::filesystem::exists(path, error)) {
    auto array = FileArray::open(beside, file.labels);
    if (array.ok()) return array;
    return bad_input("{}: labels: there is no file {}, and {}", file.path, path,
                     array.error().message());
  }
  return FileArray::open(path);
}

Result<std::vector<int64_t>> read_labels(const DataSetFile& file, const FileArray& input) {
  if (file.labels.empty()) return std::vector<int64_t>{};
  FEWBIT_ASSIGN(const FileArray array, open_labels(file, input));
  const int64_t count = input.dims()[0];
  const Dims& dims = array.dims();
  const bool one_each = !dims.empty() && elements_of(dims) == dims[0];
  if (!one_each || dims[0] != count) {
    return bad_input("{}: shape {}, expected one label for each of the {} samples", array.name(),
                     to_string(dims), count);
  }
  if (!is_integer(array.type())) {
    return bad_input("{}: labels are {}, expected integers", array.name(), name_of(array.type()));
  }
  FEWBIT_ASSIGN(const Tensor values, cast(array.whole(), DType::kInt64));
  for (int64_t i = 0; i < count; ++i) {
    FEWBIT_TRY(
        check_label(file, fmt::format("{}[{}]", array.name(), i), values.data<int64_t>()[i]));
  }
  return std::vector<int64_t>(values.span<int64_t>().begin(), values.span<int64_t>().end());
}

}  // namespace

Result<SourcePtr> open_arrays(const DataSetFile& file) {
  std::vector<Input> inputs;
  for (const ArrayInput& spec : file.inputs) {
    FEWBIT_ASSIGN(FileArray array, FileArray::open(file.resolve(spec.file), spec.array));
    FEWBIT_TRY(check_array(array, spec.preprocess));
    inputs.push_back({std::move(array), spec});
    Input& input = inputs.back();
    // A file with a single array has no name for it: then `input` names the model's input.
    if (!input.array.named() && spec.feed.empty()) input.spec.feed = spec.array;
    const FileArray& first = inputs[0].array;
    if (input.array.dims()[0] != first.dims()[0]) {
      return bad_input("{}: {} has {} rows, but {} has {}", file.path, input.array.name(),
                       input.array.dims()[0], first.name(), first.dims()[0]);
    }
  }
  const FileArray& first = inputs[0].array;
  if (first.dims()[0] == 0) {
    return bad_input("{}: the data set is empty: {} has shape {}", file.path, first.name(),
                     to_string(first.dims()));
  }
  FEWBIT_ASSIGN(std::vector<int64_t> labels, read_labels(file, first));
  return SourcePtr(std::make_shared<ArraySource>(std::move(inputs), std::move(labels)));
}

}  // namespace fewbit
