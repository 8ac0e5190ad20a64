#pragma once
// Functions compiled for several instruction sets: a row for each, slowest first, of which the last
// that runs here is used. All rows of a table give the same bits, so there is nothing to force.

#include <span>

namespace fewbit::formats {

/// Row has a member `bool runs_here`; the first row's is true.
template <typename Row>
const Row& last_that_runs(std::span<const Row> rows) {
  size_t last = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].runs_here) last = i;
  }
  return rows[last];
}

}  // namespace fewbit::formats
