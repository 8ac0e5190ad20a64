#include "kernels/dnnl/dnnl.h"

#include "kernels/dnnl/dnnl_internal.h"

namespace fewbit {

std::string dnnl_version() {
  const dnnl_version_t* v = ::dnnl_version();
  return fmt::format("{}.{}.{}", v->major, v->minor, v->patch);
}

std::string dnnl_isa() {
  // The names repeat oneDNN's; only those that decide which kernels run are told apart.
  using dnnl::cpu_isa;
  struct Row {
    cpu_isa isa;
    const char* name;
  };
  static constexpr Row kRows[] = {
      {cpu_isa::avx512_core_amx, "avx512_core_amx"},
      {cpu_isa::avx512_core_bf16, "avx512_core_bf16"},
      {cpu_isa::avx512_core_vnni, "avx512_core_vnni"},
      {cpu_isa::avx512_core, "avx512_core"},
      {cpu_isa::avx2_vnni, "avx2_vnni"},
      {cpu_isa::avx2, "avx2"},
      {cpu_isa::avx, "avx"},
      {cpu_isa::sse41, "sse41"},
  };
  const cpu_isa isa = dnnl::get_effective_cpu_isa();
  for (const Row& row : kRows)
    if (row.isa == isa) return row.name;
  return fmt::format("isa {:#x}", static_cast<unsigned>(isa));
}

bool dnnl_has_fast(DType type) {
  switch (type) {
    case DType::kFloat32:
      return true;
    case DType::kBfloat16:
      return __builtin_cpu_supports("avx512bf16");
    case DType::kFloat16:
#if DNNL_VERSION_MAJOR >= 3
      return __builtin_cpu_supports("avx512fp16");
#else
      return false;  // 2.x computes float16 on GPUs only
#endif
    default:
      return false;
  }
}

namespace internal {

void DnnlOpDeleter::operator()(DnnlOp* op) const {
  delete op;
}

const dnnl::engine& engine() {
  static const dnnl::engine e(dnnl::engine::kind::cpu, 0);
  return e;
}

dnnl::stream& stream() {
  thread_local dnnl::stream s(engine());
  return s;
}

dnnl::memory::data_type data_type_of(DType type) {
  using dt = dnnl::memory::data_type;
  switch (type) {
    case DType::kFloat32:
      return dt::f32;
    case DType::kBfloat16:
      return dt::bf16;
    case DType::kFloat16:
      return dt::f16;
    default:
      return dt::undef;
  }
}

dnnl::memory::desc activation_desc(const std::vector<int64_t>& dims, DType type,
                                   std::optional<Layout> layout) {
  using tag = dnnl::memory::format_tag;
  static constexpr tag kTags[4][3] = {
      {tag::abc, tag::abcd, tag::abcde},
      {tag::acb, tag::acdb, tag::acdeb},
      {tag::aBc8b, tag::aBcd8b, tag::aBcde8b},
      {tag::aBc16b, tag::aBcd16b, tag::aBcde16b},
  };
  const auto dt = data_type_of(type);
  if (!layout) return {dims, dt, tag::any};
  if (*layout == Layout::kPlain) return {dims, dt, row_major_strides(dims)};
  FEWBIT_CHECK(dims.size() >= 3 && dims.size() <= 5, dims.size());
  return {dims, dt, kTags[static_cast<size_t>(*layout)][dims.size() - 3]};
}

dnnl::memory::desc strided_desc(const std::vector<int64_t>& dims,
                                const std::vector<int64_t>& strides_elems, DType type) {
  return {dims, data_type_of(type), strides_elems};
}

std::vector<int64_t> row_major_strides(const std::vector<int64_t>& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<int64_t>(dims[i], 1);
  return strides;
}

Layout required_layout(const dnnl::memory::desc& desc, const std::vector<int64_t>& dims,
                       DType type) {
  for (Layout layout :
       {Layout::kPlain, Layout::kChannelsLast, Layout::kBlocked8c, Layout::kBlocked16c})
    if (desc == activation_desc(dims, type, layout)) return layout;
  throw dnnl::error(dnnl_unimplemented, "the preferred layout is none of plain, nhwc, 8c, 16c");
}

dnnl::memory reordered(const void* data, const dnnl::memory::desc& from,
                       const dnnl::memory::desc& to) {
  dnnl::memory source(from, engine(), const_cast<void*>(data));
  dnnl::memory result(to, engine());
  dnnl::reorder(source, result).execute(stream(), source, result);
  stream().wait();
  return result;
}

void DnnlOp::bind_scratch(const dnnl::memory::desc& desc) {
  scratch_bytes = desc.get_size();
  if (scratch_bytes == 0) return;
  scratch = dnnl::memory(desc, engine(), DNNL_MEMORY_NONE);
  bind(DNNL_ARG_SCRATCHPAD, scratch);
}

void DnnlOp::point(dnnl::memory& memory, const void* data) {
  if (memory.get_data_handle() != data) memory.set_data_handle(const_cast<void*>(data));
}

void DnnlOp::run(void* scratch_data) {
  if (scratch_bytes > 0) {
    if (scratch_data == nullptr) {
      if (!own_scratch) own_scratch.reset(new (std::align_val_t{64}) std::byte[scratch_bytes]);
      scratch_data = own_scratch.get();
    }
    point(scratch, scratch_data);
  }
  // The primitive's blocking and scratchpad hold for the thread count it was made for.
  const int before = omp_get_max_threads();
  if (before != threads) omp_set_num_threads(threads);
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive.get(), stream().get(), arg_count, args);
  if (before != threads) omp_set_num_threads(before);
  FEWBIT_CHECK(status == dnnl_success, static_cast<int>(status), implementation);
#if DNNL_CPU_RUNTIME != DNNL_RUNTIME_OMP && DNNL_CPU_RUNTIME != DNNL_RUNTIME_SEQ
  stream().wait();
#endif
}

void DnnlOp::place_residual(const void* residual, void* dst_data) const {
  FEWBIT_CHECK((residual != nullptr) == add_residual, implementation);
  if (residual != nullptr && residual != dst_data) std::memcpy(dst_data, residual, dst_bytes);
}

}  // namespace internal

size_t DnnlPrimitive::scratch_bytes() const {
  return op_->scratch_bytes;
}
std::string DnnlPrimitive::implementation() const {
  return op_->implementation;
}
const std::vector<int64_t>& DnnlPrimitive::dst_dims() const {
  return op_->dst_dims;
}
Layout DnnlPrimitive::src_layout() const {
  return op_->src_layout;
}
Layout DnnlPrimitive::dst_layout() const {
  return op_->dst_layout;
}
int DnnlPrimitive::threads() const {
  return op_->threads;
}

}  // namespace fewbit
