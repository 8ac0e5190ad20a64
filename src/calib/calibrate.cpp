#include "calib/calibrate.h"

#include <cmath>
#include <set>

#include "base/progress.h"
#include "base/text.h"

namespace fewbit {

Status stream(Session& session, const BatchSource& batches,
              const std::vector<std::string>& watched, ValueHook hook,
              const std::string& progress) {
  if (batches.count == 0) return bad_input("{}: the data set is empty", progress);
  FEWBIT_TRY(session.watch(watched, std::move(hook)));
  Progress bar(progress, "batches", batches.count);
  for (int64_t i = 0; i < batches.count; ++i) {
    FEWBIT_ASSIGN(Feeds feeds, batches.get(i));
    auto outputs = session.run(feeds);
    if (!outputs.ok()) return std::move(outputs).error().with_context(progress);
    bar.advance();
  }
  return session.watch({}, nullptr);
}

Result<Observers> calibrate(Session& session, const BatchSource& batches,
                              const CalibrationRequest& request) {
  const ObserverRow* row = find_observer(request.observer);
  if (row == nullptr) {
    std::vector<std::string_view> names;
    for (const ObserverRow& r : observer_table()) names.push_back(r.name);
    return misuse("unknown observer '{}'{}; there are: {}", request.observer,
                  did_you_mean(names, request.observer), fmt::join(names, ", "));
  }
  Observers observers;
  std::set<std::string> finite;
  for (const std::string& name : request.values) {
    observers[name] = row->make(request.options);
  }
  auto hook = [&](const std::string& name, const Tensor& value) {
    if (value.type() != DType::kFloat32) return;
    auto values = value.span<float>();
    if (finite.count(name) == 0) {
      for (float v : values) {
        if (std::isfinite(v)) {
          finite.insert(name);
          break;
        }
      }
    }
    observers.at(name)->observe(values);
  };
  FEWBIT_TRY(stream(session, batches, request.values, hook, "calibrate"));
  for (const std::string& name : request.values) {
    if (finite.count(name) == 0) {
      return bad_input("calibration: value '{}' never held a finite number", name);
    }
  }
  return observers;
}

}  // namespace fewbit
