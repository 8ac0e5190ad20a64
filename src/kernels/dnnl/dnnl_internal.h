#pragma once
// What the files of this folder share: the engine, memory descriptors, post-ops, and the few places
// where oneDNN 2.x (operation descriptors) and 3.x (none) differ. Included by nobody else.

#include <omp.h>

#include <cstring>
#include <dnnl.hpp>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dnnl/dnnl.h"

namespace fewbit::internal {

inline constexpr auto kInference = dnnl::prop_kind::forward_inference;

struct AlignedDeleter {
  void operator()(std::byte* p) const { ::operator delete[](p, std::align_val_t{64}); }
};

/// A prepared primitive with its arguments. The C interface to execution takes a plain array of
/// arguments, the same in 2.x and 3.x, and needs no allocation per call.
struct DnnlOp {
  static constexpr int kMaxArgs = 8;

  dnnl::primitive primitive;
  dnnl::memory src, weights, bias, dst, scratch;
  dnnl_exec_arg_t args[kMaxArgs];
  int arg_count = 0;
  size_t scratch_bytes = 0;
  std::unique_ptr<std::byte[], AlignedDeleter> own_scratch;
  std::string implementation;
  std::vector<int64_t> dst_dims;
  Layout src_layout = Layout::kPlain;
  Layout dst_layout = Layout::kPlain;
  size_t dst_bytes = 0;
  bool add_residual = false;
  bool constant_weights = false;
  int threads = 1;

  void bind(int arg, const dnnl::memory& memory) { args[arg_count++] = {arg, memory.get()}; }
  void bind_scratch(const dnnl::memory::desc& desc);
  /// Points `memory` at `data`. oneDNN re-clears the padding of blocked layouts at every change,
  /// so an unchanged pointer is not set again.
  static void point(dnnl::memory& memory, const void* data);
  void run(void* scratch_data);
  /// The residual goes where the sum post-op reads it: into dst.
  void place_residual(const void* residual, void* dst_data) const;
};

const dnnl::engine& engine();
dnnl::stream& stream();

dnnl::memory::data_type data_type_of(DType type);
dnnl::memory::desc activation_desc(const std::vector<int64_t>& dims, DType type,
                                   std::optional<Layout> layout);
/// A strided descriptor. Here because 2.x and 3.x agree on this constructor only.
dnnl::memory::desc strided_desc(const std::vector<int64_t>& dims,
                                const std::vector<int64_t>& strides_elems, DType type);
std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims);
/// The layout that a descriptor is in; throws dnnl::error (see guarded) if it is none of ours,
/// which can only happen where the layout was left to oneDNN.
Layout required_layout(const dnnl::memory::desc& desc, const std::vector<int64_t>& dims,
                       DType type);

/// The attribute of a primitive: user scratchpad and post-ops.
Result<dnnl::primitive_attr> make_attr(const PostOps& post);

/// Copies values laid out as `from` into a new memory laid out as `to`.
dnnl::memory reordered(const void* data, const dnnl::memory::desc& from,
                       const dnnl::memory::desc& to);

/// Runs `make`, which may throw dnnl::error, and turns that into an Error.
template <typename Make>
auto guarded(const char* what, Make&& make) -> Result<decltype(make())> {
  try {
    return make();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_unimplemented)
      return unsupported("oneDNN {} has no {} for these shapes and types on this processor",
                         dnnl_version(), what);
    return unsupported("oneDNN {} refused a {}: {} (status {})", dnnl_version(), what, e.what(),
                       static_cast<int>(e.status));
  }
}

/// The geometry of a convolution or a pool after the defaults are filled in.
struct Window {
  std::vector<int64_t> kernel, strides, dilations, pads_begin, pads_end;
};
/// Checks the lengths and signs and fills in the defaults; `spatial` = dims - 2.
Result<Window> complete_window(std::span<const int64_t> src_dims, std::vector<int64_t> kernel,
                               std::vector<int64_t> strides, std::vector<int64_t> dilations,
                               std::vector<int64_t> pads_begin, std::vector<int64_t> pads_end);
/// oneDNN counts a dense dilation as 0.
std::vector<int64_t> dnnl_dilations(const std::vector<int64_t>& onnx_dilations);

/// Fills what every finished primitive has: implementation, dims, layouts, threads.
template <typename PrimitiveDesc>
void finish(DnnlOp& op, const PrimitiveDesc& pd, const dnnl::primitive& primitive) {
  op.primitive = primitive;
  op.implementation = pd.impl_info_str();
  op.dst_bytes = pd.dst_desc().get_size();
  op.threads = omp_get_max_threads();
  op.bind_scratch(pd.scratchpad_desc());
}

}  // namespace fewbit::internal
