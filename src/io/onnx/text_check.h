#pragma once
// Names, docs and metadata must be UTF-8: everything downstream (JSON, terminals, protobuf in other
// languages) relies on it.

#include "base/result.h"
#include "fewbit_onnx.pb.h"

namespace fewbit::onnx {

/// Every `string` field of the model. (Fields of type `bytes`, such as string attributes, may hold
/// anything.) The error names the field and the node or value it belongs to.
Status check_text(const pb::ModelProto& model);

}  // namespace fewbit::onnx
