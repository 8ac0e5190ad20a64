#include "report/json.h"

#include <nlohmann/json.hpp>
#include <utility>

namespace fewbit {

using Tree = nlohmann::ordered_json;

struct Json::Value {
  Tree json;
};

Json::Json() : value_(std::make_unique<Value>()) {}
Json::Json(std::string_view text) : value_(new Value{Tree(text)}) {}
Json::Json(const std::string& text) : Json(std::string_view(text)) {}
Json::Json(const char* text) : Json(std::string_view(text)) {}
Json::Json(bool value) : value_(new Value{Tree(value)}) {}
Json::Json(int value) : Json(static_cast<int64_t>(value)) {}
Json::Json(int64_t value) : value_(new Value{Tree(value)}) {}
Json::Json(uint64_t value) : value_(new Value{Tree(value)}) {}
Json::Json(double value) : value_(new Value{Tree(value)}) {}
Json::Json(const std::vector<int64_t>& values) : value_(new Value{Tree(values)}) {}
Json::Json(const std::vector<std::string>& values) : value_(new Value{Tree(values)}) {}

Json::Json(std::initializer_list<Member> members) : Json(object()) {
  for (const Member& member : members) set(member.key, member.value);
}

Json::Json(const Json& other) : value_(std::make_unique<Value>(*other.value_)) {}
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) {
  return *this = Json(other);
}
Json& Json::operator=(Json&& other) noexcept = default;
Json::~Json() = default;

Json Json::object() {
  Json json;
  json.value_->json = Tree::object();
  return json;
}

Json Json::array(std::initializer_list<Json> items) {
  Json json;
  json.value_->json = Tree::array();
  for (const Json& item : items) json.push_back(item);
  return json;
}

void Json::set(std::string_view key, Json value) {
  value_->json[std::string(key)] = std::move(value.value_->json);
}

void Json::update(const Json& object) {
  value_->json.update(object.value_->json);
}

void Json::push_back(Json item) {
  value_->json.push_back(std::move(item.value_->json));
}

std::string Json::print() const {
  return value_->json.dump(2, ' ', false, Tree::error_handler_t::replace);
}

}  // namespace fewbit
