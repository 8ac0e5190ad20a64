#include "io/json.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace fewbit {
namespace {

Status unexpected(std::string_view what) {
  return bad_input("{} where none is expected", what);
}

Status not_json(size_t byte) {
  return bad_input("not valid JSON at byte {}", byte);
}

/// nlohmann's events, handed to a listener. Each returns false to end the reading.
class Events : public nlohmann::json_sax<nlohmann::json> {
 public:
  Events(JsonListener& listener, size_t first_byte)
      : listener_(listener), first_byte_(first_byte) {}

  Status result() && { return std::move(status_); }

  bool null() override { return take(unexpected("null")); }
  bool boolean(bool value) override { return take(unexpected(value ? "true" : "false")); }
  bool number_integer(number_integer_t value) override {
    return take(bad_input("the number {} where only whole ones from 0 on are expected", value));
  }
  bool number_unsigned(number_unsigned_t value) override { return take(listener_.count(value)); }
  bool number_float(number_float_t, const string_t& text) override {
    return take(bad_input("the number {} where only whole ones from 0 to 2^64 - 1 are expected",
                          text.substr(0, 40)));
  }
  bool string(string_t& value) override { return take(listener_.string(std::move(value))); }
  bool binary(binary_t&) override { return take(unexpected("binary data")); }
  bool start_object(std::size_t) override { return take(listener_.begin_object()); }
  bool key(string_t& name) override { return take(listener_.key(std::move(name))); }
  bool end_object() override { return take(listener_.end_object()); }
  bool start_array(std::size_t) override { return take(listener_.begin_array()); }
  bool end_array() override { return take(listener_.end_array()); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    // Positions are counted from 1. The library's text quotes what it read last, at any length.
    return take(not_json(first_byte_ + (position == 0 ? 0 : position - 1)));
  }

 private:
  bool take(Status status) {
    if (status.ok()) return true;
    status_ = std::move(status);
    return false;
  }

  JsonListener& listener_;
  size_t first_byte_;
  Status status_;
};

class StringsListener : public JsonListener {
 public:
  Status begin_object() override {
    if (open_) return unexpected("an object");
    open_ = true;
    return {};
  }
  Status end_object() override { return {}; }
  Status key(std::string name) override {
    if (strings_.count(name) != 0) return bad_input("the key '{}' is there twice", name);
    key_ = std::move(name);
    return {};
  }
  Status string(std::string value) override {
    if (!open_) return unexpected("a string");
    strings_.emplace(std::move(key_), std::move(value));
    return {};
  }
  std::map<std::string, std::string> take() { return std::move(strings_); }

 private:
  bool open_ = false;
  std::string key_;
  std::map<std::string, std::string> strings_;
};

}  // namespace

Status JsonListener::begin_object() {
  return unexpected("an object");
}
Status JsonListener::end_object() {
  return unexpected("the end of an object");
}
Status JsonListener::begin_array() {
  return unexpected("a list");
}
Status JsonListener::end_array() {
  return unexpected("the end of a list");
}
Status JsonListener::key(std::string) {
  return unexpected("a key");
}
Status JsonListener::string(std::string) {
  return unexpected("a string");
}
Status JsonListener::count(uint64_t) {
  return unexpected("a number");
}

Status read_json(std::string_view text, JsonListener& listener, size_t first_byte) {
  // The library takes a zero byte for the end of the text.
  if (const size_t zero = text.find('\0'); zero != text.npos) return not_json(first_byte + zero);
  Events events(listener, first_byte);
  nlohmann::json::sax_parse(text.begin(), text.end(), &events);
  return std::move(events).result();
}

Result<std::map<std::string, std::string>> read_json_strings(std::string_view text) {
  StringsListener listener;
  FEWBIT_TRY(read_json(text, listener));
  return listener.take();
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace fewbit
