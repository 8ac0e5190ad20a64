#pragma once
// The functions of unary_op.h in double, as their definitions read: the reference of the vector
// forms, and what 8-bit tables are built from.

#include "kernels/pointwise/unary_op.h"

namespace fewbit::pointwise {

double evaluate(const Unary& f, double x);

}  // namespace fewbit::pointwise
