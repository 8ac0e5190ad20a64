#pragma once
// The types of the standard's attributes.

#include <string_view>

#include "graph/graph.h"

namespace fewbit {

/// "an integer", "a list of floats", ...
std::string_view attribute_type_name(const Attribute& attribute);

/// What the attribute of that name must be, in the words of attribute_type_name; "" if not known.
std::string_view expected_attribute_type(std::string_view op_type, int opset,
                                         std::string_view name);

}  // namespace fewbit
