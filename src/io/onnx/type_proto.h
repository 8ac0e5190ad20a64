#pragma once
// TypeProto and our ValueType, both ways.

#include "base/result.h"
#include "fewbit_onnx.pb.h"
#include "graph/graph.h"

namespace fewbit::onnx {

/// The element type with ONNX's number; the error names the number (unsupported: the 6-bit floats).
Result<DType> read_element_type(int32_t number);

/// A dimension of -1, which many exporters write for "any", is read as unknown. Errors: other
/// negative dimensions, unknown element types; maps, opaque and sparse types are unsupported.
Result<ValueType> read_type(const pb::TypeProto& proto);

/// Nothing is written for an unknown type.
void write_type(const ValueType& type, pb::TypeProto* proto);

}  // namespace fewbit::onnx
