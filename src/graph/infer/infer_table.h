#pragma once
// The tables of this folder, one per kind of operator.

#include <span>

#include "graph/infer.h"

namespace fewbit::infer {

std::span<const SchemaRow> elementwise_rows();
std::span<const SchemaRow> binary_rows();
std::span<const SchemaRow> shape_rows();
std::span<const SchemaRow> resize_rows();
std::span<const SchemaRow> gather_rows();
std::span<const SchemaRow> join_rows();
std::span<const SchemaRow> slice_rows();
std::span<const SchemaRow> scatter_rows();
std::span<const SchemaRow> reduce_rows();
std::span<const SchemaRow> conv_rows();
std::span<const SchemaRow> pool_rows();
std::span<const SchemaRow> matmul_rows();
std::span<const SchemaRow> norm_rows();
std::span<const SchemaRow> attention_rows();
std::span<const SchemaRow> rnn_rows();
std::span<const SchemaRow> quant_rows();
std::span<const SchemaRow> contrib_rows();
std::span<const SchemaRow> constant_rows();
std::span<const SchemaRow> control_flow_rows();
std::span<const SchemaRow> sequence_rows();
std::span<const SchemaRow> signal_rows();
std::span<const SchemaRow> detection_rows();
std::span<const SchemaRow> loss_rows();
std::span<const SchemaRow> text_rows();
std::span<const SchemaRow> fewbit_rows();

}  // namespace fewbit::infer
