#pragma once
// What the tests of a format family share: errors, and checks that every format must pass.

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "formats/format.h"

namespace fewbit::testing {

/// sum importance * (a - b)^2; `importance` is [cols], [rows * cols] or empty.
double squared_error(std::span<const float> a, std::span<const float> b,
                     std::span<const float> importance = {});

/// Encodes and decodes; a failure to encode fails the test and gives zeros.
std::vector<float> round_trip(std::string_view format, const EncodeInput& in,
                              const EncodeOptions& options = {});

/// squared_error of a round trip over the sum of importance * value^2.
double relative_error(std::string_view format, const EncodeInput& in,
                      const EncodeOptions& options = {});

/// The bytes of all parts, one after the other.
std::vector<uint8_t> bytes_of_parts(const PackedMatrix& matrix);

/// Random shapes with ragged tails: the parts are those that the format asks for, everything
/// decodes to finite values, row by row the same as at once, and 1, 2 and 3 threads give the same
/// bytes.
void expect_sound(std::string_view format);

/// Rows of zeros decode to zeros, rows of one constant to that constant (within `tolerance`,
/// relative).
void expect_plain_rows(std::string_view format, double tolerance);

/// Whatever bits the parts hold: decoding stays within bounds and gives the same twice.
void expect_any_bits_decode(std::string_view format);

/// Magnitudes from denormal to 1e30: finite, the largest of a row never lost to a scale of zero;
/// what the scale type cannot hold is an error that names the row.
void expect_wide_range(std::string_view format);

/// The values of elements without importance may be anything: the others keep their error. And
/// counting importance leaves a weighted error of at most `slack` times that of a fit without it.
/// `rows` of 320 random weights.
void expect_importance_counts(std::string_view format, double slack, int64_t rows = 6);

}  // namespace fewbit::testing
