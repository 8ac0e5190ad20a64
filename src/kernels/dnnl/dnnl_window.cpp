#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit::internal {

namespace {

Status check_list(const char* what, const std::vector<int64_t>& list, size_t spatial,
                  int64_t least) {
  if (list.size() != spatial)
    return bad_input("{} has {} values, expected {}", what, list.size(), spatial);
  for (int64_t v : list)
    if (v < least) return bad_input("{} holds {}, expected at least {}", what, v, least);
  return {};
}

}  // namespace

Result<Window> complete_window(std::span<const int64_t> src_dims, std::vector<int64_t> kernel,
                               std::vector<int64_t> strides, std::vector<int64_t> dilations,
                               std::vector<int64_t> pads_begin, std::vector<int64_t> pads_end) {
  if (src_dims.size() < 3 || src_dims.size() > 5)
    return unsupported("{} spatial dimensions, expected 1 to 3",
                       static_cast<int64_t>(src_dims.size()) - 2);
  const size_t spatial = src_dims.size() - 2;
  Window w{std::move(kernel), std::move(strides), std::move(dilations), std::move(pads_begin),
           std::move(pads_end)};
  if (w.strides.empty()) w.strides.assign(spatial, 1);
  if (w.dilations.empty()) w.dilations.assign(spatial, 1);
  if (w.pads_begin.empty()) w.pads_begin.assign(spatial, 0);
  if (w.pads_end.empty()) w.pads_end.assign(spatial, 0);
  FEWBIT_TRY(check_list("kernel shape", w.kernel, spatial, 1));
  FEWBIT_TRY(check_list("strides", w.strides, spatial, 1));
  FEWBIT_TRY(check_list("dilations", w.dilations, spatial, 1));
  FEWBIT_TRY(check_list("pads (begin)", w.pads_begin, spatial, 0));
  FEWBIT_TRY(check_list("pads (end)", w.pads_end, spatial, 0));
  for (int64_t d : src_dims)
    if (d < 1) return unsupported("a dimension of {}, expected at least 1", d);
  return w;
}

std::vector<int64_t> dnnl_dilations(const std::vector<int64_t>& onnx_dilations) {
  std::vector<int64_t> out;
  for (int64_t d : onnx_dilations) out.push_back(d - 1);
  return out;
}

}  // namespace fewbit::internal
