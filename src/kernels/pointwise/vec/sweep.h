// Walking a span in vectors with one body for whole vectors and the tail. Included once per width,
// after V; no include guard.

namespace fewbit::pointwise::FEWBIT_VARIANT {

struct Whole {};
struct Part {
  int n;  ///< 0 < n < V::kLanes
};

FEWBIT_INLINE V::F load(const float* p, Whole) {
  return V::load(p);
}
FEWBIT_INLINE V::F load(const float* p, Part t) {
  return V::load_n(p, t.n);
}
FEWBIT_INLINE void store(float* p, V::F v, Whole) {
  V::store(p, v);
}
FEWBIT_INLINE void store(float* p, V::F v, Part t) {
  V::store_n(p, v, t.n);
}
template <typename T>
FEWBIT_INLINE V::I load_wide(const T* p, Whole) {
  return V::load_wide(p);
}
template <typename T>
FEWBIT_INLINE V::I load_wide(const T* p, Part t) {
  return V::load_wide_n(p, t.n);
}
template <typename T>
FEWBIT_INLINE void store_narrow(T* p, V::I v, Whole) {
  V::store_narrow(p, v);
}
template <typename T>
FEWBIT_INLINE void store_narrow(T* p, V::I v, Part t) {
  V::store_narrow_n(p, v, t.n);
}

/// body(offset, Whole or Part) over [0, n).
template <typename Body>
FEWBIT_INLINE void sweep(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + V::kLanes <= n; i += V::kLanes) body(i, Whole{});
  if (i < n) body(i, Part{static_cast<int>(n - i)});
}

}  // namespace fewbit::pointwise::FEWBIT_VARIANT
