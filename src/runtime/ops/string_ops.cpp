// Operators on strings (UTF-8): StringConcat, StringSplit, StringNormalizer, RegexFullMatch.

#include <algorithm>
#include <cstdint>
#include <regex>
#include <string>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

Status need_strings(const Node& node, const Tensor& x) {
  return x.type() == DType::kString ? Status{} : type_error(node, x.type());
}

Status string_concat(OpContext& ctx) {
  const Tensor& a = ctx.in(0);
  const Tensor& b = ctx.in(1);
  FEWBIT_TRY(need_strings(ctx.node(), a));
  FEWBIT_TRY(need_strings(ctx.node(), b));
  FEWBIT_ASSIGN(BroadcastPlan plan, plan_broadcast(ctx.node(), {a.dims(), b.dims()}));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, DType::kString, plan.dims));
  broadcast_binary(plan, elements<std::string>(a), elements<std::string>(b),
                   elements<std::string>(*out),
                   [](const std::string& x, const std::string& y) { return x + y; });
  return {};
}

// ---- splitting, as Python's str.split

constexpr std::string_view kWhiteSpace = " \t\n\v\f\r";

std::vector<std::string> split_at_spaces(const std::string& text, int64_t max_splits) {
  std::vector<std::string> parts;
  size_t from = text.find_first_not_of(kWhiteSpace);
  while (from != std::string::npos) {
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
      parts.push_back(text.substr(from));
      break;
    }
    const size_t end = text.find_first_of(kWhiteSpace, from);
    parts.push_back(text.substr(from, end == std::string::npos ? end : end - from));
    from = text.find_first_not_of(kWhiteSpace, end);
  }
  return parts;
}

std::vector<std::string> split_at(const std::string& text, const std::string& delimiter,
                                  int64_t max_splits) {
  std::vector<std::string> parts;
  size_t from = 0;
  for (;;) {
    const bool more = max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits;
    const size_t end = more ? text.find(delimiter, from) : std::string::npos;
    parts.push_back(text.substr(from, end == std::string::npos ? end : end - from));
    if (end == std::string::npos) return parts;
    from = end + delimiter.size();
  }
}

Status string_split(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_TRY(need_strings(node, x));
  const std::string delimiter = node.get_string("delimiter", "");
  const int64_t max_splits = node.get_int("maxsplit", -1);
  std::vector<std::vector<std::string>> all;
  size_t longest = 0;
  for (const std::string& text : x.strings()) {
    all.push_back(delimiter.empty() ? split_at_spaces(text, max_splits)
                                    : split_at(text, delimiter, max_splits));
    longest = std::max(longest, all.back().size());
  }
  Dims dims = x.dims();
  dims.push_back(static_cast<int64_t>(longest));
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, DType::kString, dims));
  std::vector<int64_t> counts;
  for (size_t i = 0; i < all.size(); ++i) {
    counts.push_back(static_cast<int64_t>(all[i].size()));
    std::move(all[i].begin(), all[i].end(),
              out->strings().begin() + static_cast<int64_t>(i * longest));
  }
  if (ctx.output_count() > 1) ctx.set_out(1, Tensor::from(x.dims(), counts));
  return {};
}

// ---- changing case

// Simple one-to-one case pairs of the alphabets that have them in blocks: Latin-1, Greek, Cyrillic.
// Other letters are left as they are.
uint32_t other_case(uint32_t c, bool to_upper) {
  struct Block {
    uint32_t lower_first, lower_last, distance;
  };
  constexpr Block kBlocks[] = {
      {'a', 'z', 32},     {0xe0, 0xf6, 32},   {0xf8, 0xfe, 32},   {0x3b1, 0x3c1, 32},
      {0x3c3, 0x3c9, 32}, {0x430, 0x44f, 32}, {0x450, 0x45f, 80},
  };
  for (const Block& b : kBlocks) {
    if (to_upper && c >= b.lower_first && c <= b.lower_last) return c - b.distance;
    if (!to_upper && c >= b.lower_first - b.distance && c <= b.lower_last - b.distance) {
      return c + b.distance;
    }
  }
  return c;
}

// All letters above are one or two bytes in UTF-8; longer sequences pass unchanged.
std::string change_case(const std::string& text, bool to_upper) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<uint8_t>(text[i]);
    if (c < 0x80) {
      out += static_cast<char>(other_case(c, to_upper));
    } else if (c >= 0xc2 && c < 0xe0 && i + 1 < text.size()) {
      const auto next = static_cast<uint8_t>(text[++i]);
      const uint32_t changed =
          other_case(static_cast<uint32_t>(c & 0x1f) << 6 | (next & 0x3f), to_upper);
      out += static_cast<char>(0xc0 | changed >> 6);
      out += static_cast<char>(0x80 | (changed & 0x3f));
    } else {
      out += text[i];
    }
  }
  return out;
}

// Input [C] or [1, C]; stop words go, the rest may change its case.
Status string_normalizer(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_TRY(need_strings(node, x));
  if (x.rank() != 1 && !(x.rank() == 2 && x.dim(0) == 1)) {
    return node_error(node, "needs shape [C] or [1, C], has {}", to_string(x.dims()));
  }
  const bool sensitive = node.get_int("is_case_sensitive", 0) != 0;
  const std::string action = node.get_string("case_change_action", "NONE");
  std::vector<std::string> stop_words;
  if (const auto* given = node.get<std::vector<std::string>>("stopwords")) stop_words = *given;
  auto comparable = [&](const std::string& s) { return sensitive ? s : change_case(s, false); };
  for (std::string& s : stop_words) s = comparable(s);
  std::vector<std::string> kept;
  for (const std::string& s : x.strings()) {
    if (std::find(stop_words.begin(), stop_words.end(), comparable(s)) != stop_words.end())
      continue;
    kept.push_back(action == "NONE" ? s : change_case(s, action == "UPPER"));
  }
  if (kept.empty()) kept.emplace_back();
  Dims dims = x.dims();
  dims.back() = static_cast<int64_t>(kept.size());
  ctx.set_out(0, Tensor::strings(dims, std::move(kept)));
  return {};
}

// ---- regular expressions

// The library's parser recurses over the pattern: this keeps the stack small.
constexpr size_t kMaxPatternBytes = 4096;

// The standard asks for RE2's syntax. The polynomial matcher is, like RE2, free of back-references
// and of recursion over the text; the grammar is ECMAScript's, which agrees on the common part.
Status regex_full_match(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_TRY(need_strings(node, x));
  const std::string pattern = node.get_string("pattern", "");
  if (pattern.size() > kMaxPatternBytes) {
    return node_error(node, "a pattern of {} bytes is longer than {}", pattern.size(),
                      kMaxPatternBytes);
  }
  try {
    const std::regex regex(pattern,
                           std::regex_constants::ECMAScript | std::regex_constants::__polynomial);
    bool* out = ctx.out(0, DType::kBool, x.dims()).data<bool>();
    for (const std::string& text : x.strings()) *out++ = std::regex_match(text, regex);
  } catch (const std::regex_error& e) {
    return node_error(node, "pattern '{}': {}", pattern, e.what());
  }
  return {};
}

constexpr OpRow kRows[] = {
    {"", "StringConcat", 20, string_concat},
    {"", "StringSplit", 20, string_split},
    {"", "StringNormalizer", 10, string_normalizer},
    {"", "RegexFullMatch", 20, regex_full_match},
};

}  // namespace

std::span<const OpRow> string_ops_table() {
  return kRows;
}

}  // namespace fewbit::ops
