#include "runtime/ops/tables.h"

namespace fewbit::ops {

// One declaration and one entry per operator file.

std::vector<std::span<const OpRow>> all_tables() {
  return {
      elementwise_unary_table(),
      elementwise_binary_table(),
      power_table(),
      reduce_table(),
      cumulative_table(),
      search_table(),
      shape_ops_table(),
      rearrange_table(),
      slice_pad_table(),
      gather_table(),
      scatter_table(),
      generate_table(),
      cast_table(),
      col2im_table(),
      random_table(),
      string_ops_table(),
      sequence_table(),
      ml_ops_table(),
      matmul_table(),
      einsum_table(),
      conv_table(),
      conv_integer_table(),
      conv_deform_table(),
      pool_table(),
      unpool_table(),
      normalization_table(),
      normalization_other_table(),
      softmax_table(),
      loss_table(),
      quant_table(),
      quant_matmul_table(),
      resize_table(),
      grid_sample_table(),
      rnn_table(),
      attention_table(),
      flex_attention_table(),
      linear_attention_table(),
      control_flow_table(),
      scan_table(),
      signal_table(),
      signal_windows_table(),
      detection_table(),
      training_table(),
      ms_quant_table(),
      ms_matmul_table(),
      ms_fused_table(),
      decode_table(),
      fewbit_table(),
  };
}

}  // namespace fewbit::ops
