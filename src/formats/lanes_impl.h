// Vectors of 16 floats for the files that are compiled once per instruction set
// (level_kernels_impl.h, search_kernels_impl.h include it inside their anonymous namespace). They
// are the compiler's own (GNU vector extension): one register with AVX-512, two with AVX2, four
// with SSE.

using F = float __attribute__((vector_size(64)));
using I = int32_t __attribute__((vector_size(64)));

inline F splat(float x) {
  return x - F{};
}
inline F load(const float* from) {
  F x;
  std::memcpy(&x, from, sizeof(x));
  return x;
}
inline I load(const int32_t* from) {
  I x;
  std::memcpy(&x, from, sizeof(x));
  return x;
}
inline void store(float* to, F x) {
  std::memcpy(to, &x, sizeof(x));
}
inline void store(int32_t* to, I x) {
  std::memcpy(to, &x, sizeof(x));
}
