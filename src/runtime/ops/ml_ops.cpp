// The simple operators of the domain ai.onnx.ml: ArrayFeatureExtractor, Binarizer, LabelEncoder.

#include <bit>
#include <map>
#include <string>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/index_support.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Status array_feature_extractor(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  if (x.rank() == 0) return node_error(node, "the input is a scalar");
  const int64_t n = x.dims().back();
  FEWBIT_ASSIGN(std::vector<int64_t> indices, read_indices(node, ctx.in(1), n));
  Dims dims = x.dims();
  dims.back() = static_cast<int64_t>(indices.size());
  if (x.rank() == 1) dims.insert(dims.begin(), 1);
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), dims));
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* to = elements<T>(*out);
    for (int64_t row = 0; row < product(x.dims(), 0, x.rank() - 1); ++row) {
      for (int64_t i : indices) *to++ = elements<T>(x)[row * n + i];
    }
    return {};
  });
}

Status binarizer(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const auto threshold = static_cast<double>(ctx.node().get_float("threshold", 0.0F));
  return dispatch(ctx.node(), x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = ctx.out(0, x.type(), x.dims()).template data<T>();
    for (T v : x.span<T>()) *out++ = static_cast<double>(v) > threshold ? T{1} : T{0};
    return {};
  });
}

// ---- label encoding

// The attribute `stem` as strings, int64s, floats or a tensor; undefined if there is none.
Tensor list_attribute(const Node& node, const std::string& stem) {
  if (const auto* t = node.get<Tensor>(stem + "_tensor")) return *t;
  if (const auto* s = node.get<std::vector<std::string>>(stem + "_strings")) {
    return Tensor::strings({static_cast<int64_t>(s->size())}, *s);
  }
  if (const auto* i = node.get<std::vector<int64_t>>(stem + "_int64s")) {
    return Tensor::from({static_cast<int64_t>(i->size())}, *i);
  }
  if (const auto* f = node.get<std::vector<float>>(stem + "_floats")) {
    return Tensor::from({static_cast<int64_t>(f->size())}, *f);
  }
  return {};
}

Result<Tensor> default_value(const Node& node, DType type) {
  if (const auto* t = node.get<Tensor>("default_tensor")) return *t;
  if (type == DType::kString) {
    return Tensor::strings({1}, {node.get_string("default_string", "_Unused")});
  }
  if (is_float(type)) return cast(Tensor::scalar(node.get_float("default_float", -0.0F)), type);
  return cast(Tensor::scalar(node.get_int("default_int64", -1)), type);
}

// Element i as bytes that are equal where the elements match: all NaN alike, both zeros alike.
std::string key_bytes(const Tensor& x, int64_t i) {
  if (x.type() == DType::kString) return x.strings()[static_cast<size_t>(i)];
  const auto size = static_cast<size_t>(bytes_of(x.type(), 1));
  if (x.type() == DType::kFloat32 || x.type() == DType::kFloat64) {
    const double v =
        x.type() == DType::kFloat32 ? static_cast<double>(x.data<float>()[i]) : x.data<double>()[i];
    return v != v ? "nan" : std::to_string(std::bit_cast<uint64_t>(v == 0 ? 0.0 : v));
  }
  return {reinterpret_cast<const char*>(x.raw()) + static_cast<size_t>(i) * size, size};
}

Status label_encoder(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  const Tensor keys = list_attribute(node, "keys");
  const Tensor values = list_attribute(node, "values");
  if (!keys.defined() || !values.defined() || keys.elements() != values.elements() ||
      keys.type() != x.type()) {
    return node_error(node, "needs as many keys of type {} as values", name_of(x.type()));
  }
  FEWBIT_ASSIGN(Tensor fallback, default_value(node, values.type()));
  if (fallback.type() != values.type() || fallback.elements() != 1) {
    return node_error(node, "the default must be one {}", name_of(values.type()));
  }
  std::map<std::string, int64_t> index;
  for (int64_t i = 0; i < keys.elements(); ++i) index[key_bytes(keys, i)] = i;
  Tensor& out = ctx.out(0, values.type(), x.dims());
  return dispatch_storage(node, values.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < x.elements(); ++i) {
      auto it = index.find(key_bytes(x, i));
      elements<T>(out)[i] = it == index.end() ? elements<T>(std::as_const(fallback))[0]
                                              : elements<T>(values)[it->second];
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"ai.onnx.ml", "ArrayFeatureExtractor", 1, array_feature_extractor},
    {"ai.onnx.ml", "Binarizer", 1, binarizer},
    {"ai.onnx.ml", "LabelEncoder", 2, label_encoder},
};

}  // namespace

std::span<const OpRow> ml_ops_table() {
  return kRows;
}

}  // namespace fewbit::ops
