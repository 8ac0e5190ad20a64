#pragma once
// For operators that mix float types (float16 data with float32 statistics): every input is read as
// one compute type, every output is stored in its own. Where all tensors have one type, in_float
// (dispatch.h) is simpler.

#include "runtime/ops/dispatch.h"

namespace fewbit::ops {

/// Calls f(TypeTag<T>): double for float64, float for float32, float16 and bfloat16.
template <typename F>
Status with_compute_type(const Node& node, DType type, F&& f) {
  switch (type) {
    case DType::kFloat64:
      return f(TypeTag<double>{});
    case DType::kFloat32:
    case DType::kFloat16:
    case DType::kBfloat16:
      return f(TypeTag<float>{});
    default:
      return type_error(node, type);
  }
}

/// Input i as T; an error if it is no float tensor.
template <typename T>
Result<Tensor> load(const OpContext& ctx, size_t i) {
  const DType type = ctx.in(i).type();
  if (!is_float(type)) return type_error(ctx.node(), type);
  return cast(ctx.in(i), DTypeOf<T>::value);
}

/// Output i, filled as T and rounded to its own type by commit().
template <typename T>
class FloatOutput {
 public:
  static Result<FloatOutput> make(OpContext& ctx, size_t i, DType type, const Dims& dims) {
    FloatOutput out;
    FEWBIT_ASSIGN(out.stored_, make_output(ctx, i, type, dims));
    if (type != DTypeOf<T>::value) {
      FEWBIT_ASSIGN(out.values_, make_tensor(ctx.node(), DTypeOf<T>::value, dims));
    }
    return out;
  }
  /// Output i if somebody reads it; otherwise data() is nullptr.
  static Result<FloatOutput> make_wanted(OpContext& ctx, size_t i, DType type, const Dims& dims) {
    if (!ctx.wants(i)) return FloatOutput();
    return make(ctx, i, type, dims);
  }
  T* data() {
    if (stored_ == nullptr) return nullptr;
    return values_.defined() ? values_.template data<T>() : stored_->template data<T>();
  }
  Status commit() { return values_.defined() ? cast_into(values_, *stored_) : Status(); }

 private:
  Tensor* stored_ = nullptr;
  Tensor values_;
};

}  // namespace fewbit::ops
