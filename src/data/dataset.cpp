#include "data/dataset.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/file.h"
#include "base/random.h"

namespace fewbit {
namespace {

constexpr int64_t kMaxDataSetFileBytes = 1 << 20;

/// Stacks samples of one feed: [count, ...].
Result<Tensor> stack(const std::vector<std::vector<Tensor>>& samples, size_t feed,
                     const DataSet& set, int64_t begin) {
  const Tensor& first = samples[0][feed];
  Dims dims = first.dims();
  dims.insert(dims.begin(), static_cast<int64_t>(samples.size()));
  Tensor out = Tensor::uninitialized(first.type(), dims);
  const auto sample_bytes = static_cast<size_t>(first.bytes());
  for (size_t i = 0; i < samples.size(); ++i) {
    const Tensor& sample = samples[i][feed];
    if (sample.dims() != first.dims()) {
      return bad_input("{}: shape {} differs from that of {}, {}: resize and crop make them equal",
                       set.name(begin + static_cast<int64_t>(i)), to_string(sample.dims()),
                       set.name(begin), to_string(first.dims()));
    }
    if (sample_bytes > 0) std::memcpy(out.raw() + i * sample_bytes, sample.raw(), sample_bytes);
  }
  return out;
}

}  // namespace

Status check_label(const DataSetFile& file, const std::string& place, int64_t label) {
  if (label < 0) return bad_input("{}: the label {} is negative", place, label);
  if (file.classes && label >= *file.classes) {
    return bad_input("{}: the label {} is out of range: the data set has {} classes (0 to {})",
                     place, label, *file.classes, *file.classes - 1);
  }
  return {};
}

Result<DataSet> DataSet::open(const std::string& path, const DataSetOverrides& overrides) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  if (file.size() > kMaxDataSetFileBytes) {
    return bad_input("{}: {} bytes is too large for a data-set file (TOML)", path, file.size());
  }
  return from_text(file.text(), path, overrides);
}

Result<DataSet> DataSet::from_text(std::string_view text, const std::string& path,
                                   const DataSetOverrides& overrides) {
  FEWBIT_ASSIGN(const DataSetFile file, parse_dataset_file(text, path));
  DataSet set;
  FEWBIT_ASSIGN(set.source_,
                file.kind == DataSetFile::Kind::kImages ? open_images(file) : open_arrays(file));
  set.labelled_ = !file.labels.empty();
  set.positions_.resize(static_cast<size_t>(set.source_->size()));
  std::iota(set.positions_.begin(), set.positions_.end(), 0);
  if (const auto seed = overrides.seed ? overrides.seed : file.seed) {
    Random(*seed).shuffle<int64_t>(set.positions_);
  }
  const auto limit = overrides.limit ? overrides.limit : file.limit;
  if (limit && *limit < 1) return misuse("the limit is {}, expected at least 1", *limit);
  if (limit && *limit < set.size()) set.positions_.resize(static_cast<size_t>(*limit));
  return set;
}

int64_t DataSet::max_label() const {
  int64_t largest = -1;
  for (const int64_t position : positions_) largest = std::max(largest, source_->label(position));
  return largest;
}

Result<Batch> DataSet::batch(int64_t begin, int64_t count) const {
  FEWBIT_CHECK(begin >= 0 && begin < size() && count > 0, begin, count, size());
  count = std::min(count, size() - begin);
  std::vector<std::vector<Tensor>> samples(static_cast<size_t>(count));
  std::vector<Status> statuses(static_cast<size_t>(count));
#pragma omp parallel for schedule(dynamic) if (count > 1)
  for (int64_t i = 0; i < count; ++i) {
    auto loaded = source_->load(position(begin + i));
    if (loaded.ok()) {
      samples[static_cast<size_t>(i)] = std::move(loaded).value();
    } else {
      statuses[static_cast<size_t>(i)] = std::move(loaded).error();
    }
  }
  for (const Status& status : statuses) FEWBIT_TRY(status);
  Batch batch;
  const std::vector<std::string> names = feeds();
  for (size_t feed = 0; feed < names.size(); ++feed) {
    FEWBIT_ASSIGN(Tensor value, stack(samples, feed, *this, begin));
    batch.feeds.push_back({names[feed], std::move(value)});
  }
  for (int64_t i = 0; i < count; ++i) batch.labels.push_back(label(begin + i));
  return batch;
}

Result<std::string> DataSet::hash() const {
  Sha256 hash;
  for (const int64_t position : positions_) {
    FEWBIT_TRY(source_->hash(position, hash));
    hash.update_number(static_cast<uint64_t>(source_->label(position)));
  }
  return hash.hex();
}

}  // namespace fewbit
