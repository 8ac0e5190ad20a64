#pragma once
// Names, docs and metadata must be UTF-8: everything downstream (JSON, terminals, protobuf in other
// languages) relies on it.

#include <string_view>

#include "base/result.h"
#include "fewbit_onnx.pb.h"

namespace fewbit::onnx {

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text);

/// Every `string` field of the model. (Fields of type `bytes`, such as string attributes, may hold
/// anything.) The error names the field and the node or value it belongs to.
Status check_text(const pb::ModelProto& model);

}  // namespace fewbit::onnx
