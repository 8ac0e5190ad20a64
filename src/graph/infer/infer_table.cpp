#include "graph/infer/infer_table.h"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace fewbit {

namespace {

std::vector<SchemaRow> concatenate() {
  std::vector<SchemaRow> rows;
  for (auto table : {infer::elementwise_rows(),  infer::binary_rows(),    infer::shape_rows(),
                     infer::resize_rows(),       infer::gather_rows(),    infer::join_rows(),
                     infer::slice_rows(),        infer::scatter_rows(),   infer::reduce_rows(),
                     infer::conv_rows(),         infer::pool_rows(),      infer::matmul_rows(),
                     infer::norm_rows(),         infer::attention_rows(), infer::rnn_rows(),
                     infer::quant_rows(),        infer::contrib_rows(),   infer::constant_rows(),
                     infer::control_flow_rows(), infer::sequence_rows(),  infer::signal_rows(),
                     infer::detection_rows(),    infer::loss_rows(),      infer::text_rows(),
                     infer::fewbit_rows()}) {
    rows.insert(rows.end(), table.begin(), table.end());
  }
  return rows;
}

// Rows of each "domain:operator", the newest first.
using Index = std::unordered_map<std::string, std::vector<const SchemaRow*>>;

std::string key_of(std::string_view domain, std::string_view op_type) {
  return fmt::format("{}:{}", domain, op_type);
}

Index build_index() {
  Index index;
  for (const SchemaRow& row : schema_table()) {
    index[key_of(row.domain, row.op_type)].push_back(&row);
  }
  for (auto& [key, rows] : index) {
    std::sort(rows.begin(), rows.end(),
              [](const SchemaRow* a, const SchemaRow* b) { return a->since > b->since; });
  }
  return index;
}

}  // namespace

std::span<const SchemaRow> schema_table() {
  static const std::vector<SchemaRow> rows = concatenate();
  return rows;
}

const SchemaRow* find_schema(std::string_view domain, std::string_view op_type, int opset) {
  static const Index index = build_index();
  auto it = index.find(key_of(domain, op_type));
  if (it == index.end()) return nullptr;
  for (const SchemaRow* row : it->second) {
    if (row->since <= opset) return row;
  }
  return nullptr;
}

}  // namespace fewbit
