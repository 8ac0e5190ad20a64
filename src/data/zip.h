#pragma once
// Zip files, as far as NumPy's npz needs them: stored and deflated entries, also with the 64-bit
// fields (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3). No encryption, no split archives.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fewbit {

struct ZipEntry {
  std::string name;
  bool deflated = false;            ///< Else stored as it is.
  uint32_t crc = 0;                 ///< CRC-32 of the content.
  uint64_t content_bytes = 0;       ///< Uncompressed.
  std::span<const std::byte> data;  ///< As in the file: compressed if deflated.
};

/// The entries in the order of the archive's directory; their data points into `file`. `name` is
/// for messages. Errors (kBadInput): no zip file, cut off, entries outside the file; kUnsupported:
/// an encrypted entry or another compression.
Result<std::vector<ZipEntry>> read_zip(std::span<const std::byte> file, std::string_view name);

}  // namespace fewbit
