#pragma once
// JSON that was written by others, read as a stream of events: nothing is built but what the
// listener keeps, so that a file cannot make the program use much more memory than its own size.
// The work is done by nlohmann/json, which costs seconds of compilation in every file that includes
// it: here it is included once, in json.cpp.

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fewbit {

/// Told of each token in turn. What a listener does not override it does not expect: those tokens
/// are errors. An error ends the reading.
class JsonListener {
 public:
  virtual ~JsonListener() = default;
  virtual Status begin_object();
  virtual Status end_object();
  virtual Status begin_array();
  virtual Status end_array();
  virtual Status key(std::string name);
  virtual Status string(std::string value);
  /// A whole number from 0 to 2^64 - 1.
  virtual Status count(uint64_t value);
};

/// Reads one JSON value that is the whole of `text` (white space around it is allowed). Errors
/// (kBadInput): not JSON (RFC 8259), invalid UTF-8, each with the byte; null, true, false, numbers
/// that are negative or no whole ones; whatever the listener returned. `first_byte` is where the
/// text begins in its file, for messages.
Status read_json(std::string_view text, JsonListener& listener, size_t first_byte = 0);

/// An object whose values are all strings. Error, besides those of read_json: a key that is there
/// twice.
Result<std::map<std::string, std::string>> read_json_strings(std::string_view text);

/// `text`, which must be UTF-8, as a JSON string with its quotation marks. Control characters are
/// escaped, all others stand for themselves.
std::string json_quoted(std::string_view text);

}  // namespace fewbit
