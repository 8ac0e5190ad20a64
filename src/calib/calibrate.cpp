#include "calib/calibrate.h"

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "base/text.h"

namespace fewbit {

BatchSource remembered(BatchSource source, int64_t bytes) {
  struct Memory {
    BatchSource source;
    int64_t bytes_left;
    std::map<int64_t, Feeds> batches;
  };
  auto memory = std::make_shared<Memory>(Memory{std::move(source), bytes, {}});
  BatchSource kept;
  kept.count = memory->source.count;
  kept.get = [memory](int64_t index) -> Result<Feeds> {
    auto it = memory->batches.find(index);
    if (it != memory->batches.end()) return it->second;
    FEWBIT_ASSIGN(Feeds feeds, memory->source.get(index));
    int64_t size = 0;
    for (const auto& [name, value] : feeds) size += value.is_tensor() ? value.tensor().bytes() : 0;
    if (size <= memory->bytes_left) {
      memory->bytes_left -= size;
      memory->batches.emplace(index, feeds);
    }
    return feeds;
  };
  return kept;
}

Status stream(Session& session, const BatchSource& batches, const Listeners& listeners,
              const std::string& progress) {
  if (batches.count == 0) return bad_input("{}: the data set is empty", progress);
  std::vector<std::string> names;
  for (const auto& [name, listener] : listeners) {
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  auto hook = [&](const std::string& name, const Tensor& value) {
    auto [first, last] = listeners.equal_range(name);
    for (auto it = first; it != last; ++it) it->second(value);
  };
  FEWBIT_TRY(session.watch(names, hook));
  Progress bar(progress, "batches", batches.count);
  for (int64_t i = 0; i < batches.count; ++i) {
    FEWBIT_ASSIGN(Feeds feeds, batches.get(i));
    auto outputs = session.run(feeds);
    if (!outputs.ok()) return std::move(outputs).error().with_context(progress);
    bar.advance();
  }
  return session.watch({}, nullptr);
}

Result<ObserverSet> ObserverSet::create(const std::vector<std::string>& values,
                                        const std::string& observer,
                                        const ObserverOptions& options) {
  const ObserverRow* row = find_observer(observer);
  if (row == nullptr) {
    std::vector<std::string_view> names;
    for (const ObserverRow& r : observer_table()) names.push_back(r.name);
    return misuse("unknown observer '{}'{}; there are: {}", observer, did_you_mean(names, observer),
                  join(names, ", "));
  }
  ObserverSet set;
  for (const std::string& name : values) set.entries_[name].observer = row->make(options);
  return set;
}

void ObserverSet::listen(Listeners& listeners) {
  for (auto& [name, entry] : entries_) {
    Entry* e = &entry;
    listeners.emplace(name, [e](const Tensor& value) {
      if (value.type() != DType::kFloat32) return;
      auto values = value.span<float>();
      e->finite = e->finite || std::any_of(values.begin(), values.end(),
                                           [](float v) { return std::isfinite(v); });
      e->observer->observe(values);
    });
  }
}

Result<std::map<std::string, Range>> ObserverSet::ranges(const RangeTarget& target) const {
  std::map<std::string, Range> out;
  for (const auto& [name, entry] : entries_) {
    if (!entry.finite) {
      return bad_input("calibration: value '{}' never held a finite number", name);
    }
    out[name] = entry.observer->range(target);
  }
  return out;
}

}  // namespace fewbit
