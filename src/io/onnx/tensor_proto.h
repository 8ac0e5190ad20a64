#pragma once
// TensorProto to Tensor: typed fields, raw bytes, external data, sparse tensors.

#include <cstdint>

#include "base/result.h"
#include "base/tensor.h"
#include "fewbit_onnx.pb.h"
#include "io/byte_source.h"
#include "io/onnx/external_files.h"
#include "io/onnx/reader.h"

namespace fewbit::onnx {

struct TensorSources {
  ByteSource model;  ///< what the payloads of the skeleton point into (wire.h)
  ExternalFiles external;
  TensorLookup lookup;      ///< empty: external data lies in files
  int64_t max_dense_bytes;  ///< a sparse tensor that is larger when dense is refused
};

/// A tensor of the skeleton. Bytes that are aligned for their element type are viewed where they
/// lie; all others are copied. Errors say what was expected and found; the caller adds the name.
Result<Tensor> read_tensor(const pb::TensorProto& proto, TensorSources& sources);

/// The dense form.
Result<Tensor> read_sparse_tensor(const pb::SparseTensorProto& proto, TensorSources& sources);

}  // namespace fewbit::onnx
