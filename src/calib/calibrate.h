#pragma once
// One streaming pass of the calibration data through a model, with observers and statistics
// watching.

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

/// The same batches; the first ones, as many as fit into `bytes`, are kept once they were read.
BatchSource remembered(BatchSource source, int64_t bytes);

/// Who wants to see which value; several may listen to one.
using Listeners = std::multimap<std::string, std::function<void(const Tensor& value)>>;

/// Runs every batch once and shows each value to its listeners as it is produced. `progress` names
/// the bar and stands before errors. An empty source is an error.
Status stream(Session& session, const BatchSource& batches, const Listeners& listeners,
              const std::string& progress);

/// One observer per value, and whether it ever saw a finite number.
class ObserverSet {
 public:
  /// Errors: unknown observer (the nearest name is suggested).
  static Result<ObserverSet> create(const std::vector<std::string>& values,
                                    const std::string& observer, const ObserverOptions& options);
  /// Registers the observers; the set must outlive the listeners.
  void listen(Listeners& listeners);
  /// The ranges for this quantizer. Error: names a value that never held a finite number.
  Result<std::map<std::string, Range>> ranges(const RangeTarget& target) const;

 private:
  struct Entry {
    std::unique_ptr<Observer> observer;
    bool finite = false;
  };
  std::map<std::string, Entry> entries_;
};

}  // namespace fewbit
