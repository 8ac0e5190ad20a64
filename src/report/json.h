#pragma once
// JSON to be printed. The work is done by nlohmann/json, which costs seconds of compilation in
// every file that includes it: here it is included once, in json.cpp.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace fewbit {

/// A JSON value. The members of an object keep the order in which they were added.
class Json {
 public:
  struct Member;

  Json();                                        ///< null
  Json(std::initializer_list<Member> members);   ///< an object
  Json(std::string_view text);                   // NOLINT: implicit
  Json(const std::string& text);                 // NOLINT: implicit
  Json(const char* text);                        // NOLINT: implicit
  Json(bool value);                              // NOLINT: implicit
  Json(int value);                               // NOLINT: implicit
  Json(int64_t value);                           // NOLINT: implicit
  Json(uint64_t value);                          // NOLINT: implicit
  Json(double value);                            // NOLINT: implicit, null if not finite
  Json(const std::vector<int64_t>& values);      // NOLINT: implicit
  Json(const std::vector<std::string>& values);  // NOLINT: implicit
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;
  ~Json();

  static Json object();
  static Json array(std::initializer_list<Json> items = {});

  /// Adds a member to an object, or replaces it.
  void set(std::string_view key, Json value);
  /// Adds the members of another object.
  void update(const Json& object);
  /// Adds an item to an array.
  void push_back(Json item);

  /// Text with two spaces of indentation. Bytes that are not UTF-8 (paths and names may hold any)
  /// are replaced by U+FFFD.
  std::string print() const;

 private:
  struct Value;
  std::unique_ptr<Value> value_;
};

/// One member of an object.
struct Json::Member {
  std::string_view key;
  Json value;
};

}  // namespace fewbit
