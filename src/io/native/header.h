#pragma once
// What the metadata of a native file says: its keys and the hash that covers them.

#include <string>
#include <string_view>

#include "base/result.h"

namespace fewbit::native {

/// Of this format. Raised when a reader of the version before could not read the file.
inline constexpr int kFileVersion = 1;

inline constexpr std::string_view kVersionKey = "fewbit.file_version";
inline constexpr std::string_view kGraphKey = "fewbit.graph";
inline constexpr std::string_view kFormatsKey = "fewbit.formats";
inline constexpr std::string_view kHashesKey = "fewbit.hashes";
inline constexpr std::string_view kHeaderHashKey = "fewbit.header_sha256";
/// All other keys are those of the model's own metadata.
inline constexpr std::string_view kOwnKeys[] = {kVersionKey, kGraphKey, kFormatsKey, kHashesKey,
                                                kHeaderHashKey};

/// What stands in the header for its own hash while that is computed.
std::string header_hash_blank();

/// Puts the hash of the header (with the length before it and the spaces behind) in place of the
/// blank. The header must hold the blank under its key.
void seal_header(std::string& header);

/// Error (kBadInput): the header's hash is not there, or is not that of the header.
Status check_header_hash(std::string_view header);

/// RFC 4648, section 4, with padding.
std::string to_base64(std::string_view bytes);
/// Error (kBadInput): a length that is no multiple of 4, a character of another alphabet (with its
/// place), bits set that belong to no byte.
Result<std::string> from_base64(std::string_view text);

}  // namespace fewbit::native
