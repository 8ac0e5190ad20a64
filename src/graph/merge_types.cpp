// Intersection and union of what is known of one value.

#include "graph/infer_context.h"

namespace fewbit {

namespace {

bool is_container(const ValueType& t) {
  return t.kind == ValueType::Kind::kSequence || t.kind == ValueType::Kind::kOptional;
}

std::shared_ptr<ValueType> share(ValueType t) {
  return std::make_shared<ValueType>(std::move(t));
}

}  // namespace

std::optional<ValueType> merge_types(const ValueType& a, const ValueType& b) {
  if (a.kind == ValueType::Kind::kUnknown) return b;
  if (b.kind == ValueType::Kind::kUnknown) return a;
  if (a.kind != b.kind) return std::nullopt;
  ValueType out = a;
  if (is_container(a)) {
    if (!a.inner || !b.inner) {
      out.inner = a.inner ? a.inner : b.inner;
      return out;
    }
    auto inner = merge_types(*a.inner, *b.inner);
    if (!inner) return std::nullopt;
    out.inner = share(std::move(*inner));
    return out;
  }
  if (a.elem == DType::kUndefined) out.elem = b.elem;
  if (b.elem != DType::kUndefined && out.elem != b.elem) return std::nullopt;
  if (!a.shape || !b.shape) {
    out.shape = a.shape ? a.shape : b.shape;
    return out;
  }
  if (a.shape->size() != b.shape->size()) return std::nullopt;
  for (size_t i = 0; i < a.shape->size(); ++i) {
    if (infer::certainly_differ((*a.shape)[i], (*b.shape)[i])) return std::nullopt;
    (*out.shape)[i] = infer::more_precise((*a.shape)[i], (*b.shape)[i]);
  }
  return out;
}

ValueType union_types(const ValueType& a, const ValueType& b) {
  if (a.kind == ValueType::Kind::kUnknown || a.kind != b.kind) return {};
  ValueType out = a;
  if (is_container(a)) {
    out.inner = a.inner && b.inner ? share(union_types(*a.inner, *b.inner)) : nullptr;
    return out;
  }
  if (a.elem != b.elem) out.elem = DType::kUndefined;
  if (!a.shape || !b.shape || a.shape->size() != b.shape->size()) {
    out.shape.reset();
    return out;
  }
  for (size_t i = 0; i < a.shape->size(); ++i) {
    if (!infer::certainly_equal((*a.shape)[i], (*b.shape)[i])) (*out.shape)[i] = Dim{};
  }
  return out;
}

}  // namespace fewbit
