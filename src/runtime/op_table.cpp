#include <algorithm>
#include <map>

#include "runtime/op.h"
#include "runtime/ops/tables.h"

namespace fewbit {

std::span<const OpRow> op_table() {
  static const std::vector<OpRow> rows = [] {
    std::vector<OpRow> all;
    for (std::span<const OpRow> part : ops::all_tables())
      all.insert(all.end(), part.begin(), part.end());
    std::sort(all.begin(), all.end(), [](const OpRow& a, const OpRow& b) {
      return std::tie(a.domain, a.op_type, a.since) < std::tie(b.domain, b.op_type, b.since);
    });
    return all;
  }();
  return rows;
}

const OpRow* find_op(std::string_view domain, std::string_view op_type, int opset) {
  const OpRow* best = nullptr;
  std::span<const OpRow> rows = op_table();
  auto it = std::lower_bound(
      rows.begin(), rows.end(), std::tie(domain, op_type),
      [](const OpRow& row, const auto& key) { return std::tie(row.domain, row.op_type) < key; });
  for (; it != rows.end() && it->domain == domain && it->op_type == op_type; ++it) {
    if (it->since <= opset) best = &*it;
  }
  return best;
}

}  // namespace fewbit
