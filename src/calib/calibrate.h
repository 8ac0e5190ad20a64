#pragma once
// One streaming pass of the calibration data through a model, with observers and statistics watching.

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "calib/observer.h"
#include "runtime/session.h"

namespace fewbit {

/// The calibration data as batches; `get` may be asked for any index, any number of times.
struct BatchSource {
  int64_t count = 0;
  std::function<Result<Feeds>(int64_t index)> get;
};

/// Runs every batch; `watched` values are shown to `hook` as they are produced. `progress` names the
/// bar and stands before errors. An empty source is an error.
Status stream(Session& session, const BatchSource& batches,
                       const std::vector<std::string>& watched, ValueHook hook,
                       const std::string& progress);

struct CalibrationRequest {
  std::vector<std::string> values;  ///< by name; float32
  std::string observer;             ///< a name of observer_table()
  ObserverOptions options;
};

using Observers = std::map<std::string, std::unique_ptr<Observer>>;

/// Observes the values over all batches. Errors: unknown observer or value, no batch at all, a value
/// that never held a finite number (named).
Result<Observers> calibrate(Session& session, const BatchSource& batches,
                              const CalibrationRequest& request);

}  // namespace fewbit
