#pragma once
// NumPy's array files (NEP 1, format versions 1 to 3): read as a view of the mapped file, written
// atomically.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/tensor.h"

namespace fewbit {

/// What stands before the elements.
struct NpyHeader {
  DType type = DType::kUndefined;
  bool big_endian = false;
  Dims dims;
  size_t data_offset = 0;  ///< From the start of the file.
  int64_t data_bytes = 0;
};

/// Reads the header at the start of `bytes`, which need not hold the data too. `name` is for
/// messages. Errors: kBadInput: not an npy file, cut off, or damaged; kUnsupported: Fortran order,
/// element types that are not numbers or bool.
Result<NpyHeader> parse_npy_header(std::span<const std::byte> bytes, std::string_view name);

/// The array of a file: its elements stay in the mapped file where alignment and byte order allow
/// it, else they are copied. The tensor must not be written to.
Result<Tensor> read_npy(const std::string& path);

/// Writes `tensor` in C order, little-endian, all or nothing. NumPy has no bfloat16, float8, float4
/// and no integers below 8 bits: these are written as float32, int8 or uint8, which hold all of
/// their values. Errors: kUnsupported for strings; kIo.
Status write_npy(const std::string& path, const Tensor& tensor);

}  // namespace fewbit
