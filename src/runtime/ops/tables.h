#pragma once
// The tables of the operator files, one per file: add a file, add its table here and in tables.cpp.

#include <span>
#include <vector>

#include "runtime/op.h"

namespace fewbit::ops {

std::span<const OpRow> elementwise_unary_table();
std::span<const OpRow> elementwise_binary_table();
std::span<const OpRow> power_table();
std::span<const OpRow> reduce_table();
std::span<const OpRow> cumulative_table();
std::span<const OpRow> search_table();
std::span<const OpRow> shape_ops_table();
std::span<const OpRow> rearrange_table();
std::span<const OpRow> slice_pad_table();
std::span<const OpRow> gather_table();
std::span<const OpRow> scatter_table();
std::span<const OpRow> generate_table();
std::span<const OpRow> cast_table();
std::span<const OpRow> col2im_table();
std::span<const OpRow> random_table();
std::span<const OpRow> string_ops_table();
std::span<const OpRow> sequence_table();
std::span<const OpRow> ml_ops_table();
std::span<const OpRow> matmul_table();
std::span<const OpRow> einsum_table();
std::span<const OpRow> conv_table();
std::span<const OpRow> conv_integer_table();
std::span<const OpRow> conv_deform_table();
std::span<const OpRow> pool_table();
std::span<const OpRow> unpool_table();
std::span<const OpRow> normalization_table();
std::span<const OpRow> normalization_other_table();
std::span<const OpRow> softmax_table();
std::span<const OpRow> loss_table();
std::span<const OpRow> quant_table();
std::span<const OpRow> quant_matmul_table();
std::span<const OpRow> resize_table();
std::span<const OpRow> grid_sample_table();
std::span<const OpRow> rnn_table();
std::span<const OpRow> attention_table();
std::span<const OpRow> flex_attention_table();
std::span<const OpRow> linear_attention_table();
std::span<const OpRow> control_flow_table();
std::span<const OpRow> scan_table();
std::span<const OpRow> signal_table();
std::span<const OpRow> signal_windows_table();
std::span<const OpRow> detection_table();
std::span<const OpRow> training_table();
std::span<const OpRow> ms_quant_table();
std::span<const OpRow> ms_matmul_table();
std::span<const OpRow> ms_fused_table();
std::span<const OpRow> decode_table();
std::span<const OpRow> fewbit_table();

std::vector<std::span<const OpRow>> all_tables();

}  // namespace fewbit::ops
