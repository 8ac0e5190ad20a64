#include "io/onnx/wire.h"

#include <limits>
#include <optional>
#include <vector>

namespace fewbit::onnx {
namespace {

// https://protobuf.dev/programming-guides/encoding/: a field is a varint (number << 3 | wire type)
// and its value.
enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

constexpr uint32_t kFirstPrivateField = 1001;
constexpr uint32_t kPayloadAt = 1001;
constexpr uint32_t kPayloadBytes = 1002;
constexpr uint32_t kPayloadField = 1003;
constexpr uint32_t kFloatData = 4;
constexpr uint32_t kRawData = 9;
constexpr uint32_t kDoubleData = 10;
constexpr uint32_t kTrainingInfo = 20;
constexpr int kMaxDepth = 100;

// Runs of numbers below this stay in the message: not worth a look-up.
constexpr uint64_t kMinRunBytes = 256;

MessageKind child_kind(MessageKind parent, uint32_t field) {
  struct Row {
    MessageKind parent;
    uint32_t field;
    MessageKind child;
  };
  static constexpr Row kRows[] = {
      {MessageKind::kModel, 7, MessageKind::kGraph},
      {MessageKind::kModel, 25, MessageKind::kFunction},
      {MessageKind::kGraph, 1, MessageKind::kNode},
      {MessageKind::kGraph, 5, MessageKind::kTensor},
      {MessageKind::kGraph, 15, MessageKind::kSparseTensor},
      {MessageKind::kNode, 5, MessageKind::kAttribute},
      {MessageKind::kFunction, 7, MessageKind::kNode},
      {MessageKind::kFunction, 11, MessageKind::kAttribute},
      {MessageKind::kAttribute, 5, MessageKind::kTensor},
      {MessageKind::kAttribute, 6, MessageKind::kGraph},
      {MessageKind::kAttribute, 10, MessageKind::kTensor},
      {MessageKind::kAttribute, 11, MessageKind::kGraph},
      {MessageKind::kAttribute, 22, MessageKind::kSparseTensor},
      {MessageKind::kAttribute, 23, MessageKind::kSparseTensor},
      {MessageKind::kSparseTensor, 1, MessageKind::kTensor},
      {MessageKind::kSparseTensor, 2, MessageKind::kTensor},
  };
  for (const Row& row : kRows) {
    if (row.parent == parent && row.field == field) return row.child;
  }
  return MessageKind::kOther;
}

struct Field {
  uint32_t number = 0;
  uint32_t wire = 0;
  size_t begin = 0;    // of the tag
  size_t content = 0;  // of the value (kBytes: of the first byte after the length)
  size_t end = 0;
  uint64_t varint = 0;  // the value, if wire == kVarint
};

/// Reads one message's fields in order.
class FieldReader {
 public:
  FieldReader(std::span<const std::byte> bytes, size_t begin, size_t end)
      : bytes_(bytes), at_(begin), end_(end) {}

  bool done() const { return at_ == end_; }

  Result<Field> next() {
    Field f;
    f.begin = at_;
    FEWBIT_ASSIGN(uint64_t tag, read_varint());
    f.wire = static_cast<uint32_t>(tag & 7);
    uint64_t number = tag >> 3;
    if (number == 0 || number > (1U << 29) - 1) {
      return bad_input("no protobuf field can have number {} (at byte {})", number, f.begin);
    }
    f.number = static_cast<uint32_t>(number);
    f.content = at_;
    uint64_t length = 0;
    switch (f.wire) {
      case kVarint: {
        FEWBIT_ASSIGN(f.varint, read_varint());
        f.end = at_;
        return f;
      }
      case kFixed64:
        length = 8;
        break;
      case kFixed32:
        length = 4;
        break;
      case kBytes: {
        FEWBIT_ASSIGN(length, read_varint());
        f.content = at_;
        break;
      }
      default:
        return bad_input("byte {} is no start of a protobuf field (wire type {})", f.begin, f.wire);
    }
    if (length > end_ - at_) {
      return bad_input("field {} at byte {} should hold {} bytes, but only {} are left: cut short?",
                       f.number, f.begin, length, end_ - at_);
    }
    at_ += static_cast<size_t>(length);
    f.end = at_;
    return f;
  }

 private:
  Result<uint64_t> read_varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_)
        return bad_input("ends in the middle of a number at byte {}: cut short?", at_);
      auto b = static_cast<uint64_t>(bytes_[at_++]);
      value |= (b & 0x7f) << shift;
      if ((b & 0x80) == 0) return value;
    }
    return bad_input("a number of more than 10 bytes at byte {}", at_);
  }

  std::span<const std::byte> bytes_;
  size_t at_;
  size_t end_;
};

void append_varint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>((value & 0x7f) | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

void append_tag(std::string& out, uint32_t field, uint32_t wire) {
  append_varint(out, (uint64_t{field} << 3) | wire);
}

size_t varint_bytes(uint64_t value) {
  size_t n = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++n;
  }
  return n;
}

// ---------------------------------------------------------------------------------------- cutting

class Cutter {
 public:
  explicit Cutter(std::span<const std::byte> model) : bytes_(model) {}

  Result<Skeleton> run() {
    FEWBIT_TRY(message(MessageKind::kModel, 0, bytes_.size(), 0));
    return std::move(out_);
  }

 private:
  Status message(MessageKind kind, size_t begin, size_t end, int depth) {
    if (depth >= kMaxDepth) {
      return bad_input("messages are nested deeper than {} levels at byte {}", kMaxDepth, begin);
    }
    uint32_t run_field = 0;
    if (kind == MessageKind::kTensor) {
      FEWBIT_ASSIGN(run_field, single_run(begin, end));
    }
    FieldReader reader(bytes_, begin, end);
    while (!reader.done()) {
      FEWBIT_ASSIGN(Field f, reader.next());
      if (kind == MessageKind::kModel && f.number == kTrainingInfo) {
        out_.has_training_info = true;
        continue;
      }
      if (kind == MessageKind::kTensor) {
        if (f.number >= kFirstPrivateField) continue;
        if (f.wire == kBytes && (f.number == kRawData || f.number == run_field)) {
          place(f);
          continue;
        }
      }
      MessageKind child = child_kind(kind, f.number);
      if (child == MessageKind::kOther || f.wire != kBytes) {
        append(f.begin, f.end);
      } else {
        FEWBIT_TRY(nested(child, f, depth));
      }
      if (out_.bytes.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
        return unsupported("the model holds more than 2 GB beside the bytes of its tensors");
      }
    }
    return {};
  }

  // The length of the nested message is not known yet. A varint may be padded with zero groups, so
  // five bytes are set aside and filled in afterwards.
  Status nested(MessageKind child, const Field& f, int depth) {
    append_tag(out_.bytes, f.number, kBytes);
    const size_t length_at = out_.bytes.size();
    out_.bytes.append(5, '\0');
    FEWBIT_TRY(message(child, f.content, f.end, depth + 1));
    uint64_t length = out_.bytes.size() - length_at - 5;
    for (size_t i = 0; i < 5; ++i, length >>= 7) {
      out_.bytes[length_at + i] = static_cast<char>((length & 0x7f) | (i < 4 ? 0x80 : 0));
    }
    return {};
  }

  // float_data or double_data, if it is written as exactly one packed run of some size. (Several
  // runs would have to be joined: those are left to protobuf.)
  Result<uint32_t> single_run(size_t begin, size_t end) {
    FieldReader reader(bytes_, begin, end);
    uint32_t number = 0;
    uint64_t length = 0;
    int runs = 0;
    while (!reader.done()) {
      FEWBIT_ASSIGN(Field f, reader.next());
      if (f.number == kRawData) return uint32_t{0};
      if (f.number != kFloatData && f.number != kDoubleData) continue;
      ++runs;
      number = f.number;
      length = f.wire == kBytes ? f.end - f.content : 0;
    }
    const uint64_t element_bytes = number == kFloatData ? 4 : 8;
    const bool usable = runs == 1 && length >= kMinRunBytes && length % element_bytes == 0;
    return usable ? number : uint32_t{0};
  }

  void place(const Field& f) {
    append_tag(out_.bytes, kPayloadAt, kVarint);
    append_varint(out_.bytes, f.content);
    append_tag(out_.bytes, kPayloadBytes, kVarint);
    append_varint(out_.bytes, f.end - f.content);
    append_tag(out_.bytes, kPayloadField, kVarint);
    append_varint(out_.bytes, f.number);
  }

  void append(size_t begin, size_t end) {
    out_.bytes.append(reinterpret_cast<const char*>(bytes_.data()) + begin, end - begin);
  }

  std::span<const std::byte> bytes_;
  Skeleton out_;
};

// --------------------------------------------------------------------------------------- splicing

// First pass: the size of every nested message with its payloads, in the order they are met.
// Second pass: the bytes.
class Splicer {
 public:
  explicit Splicer(const std::string& skeleton) : bytes_(std::as_bytes(std::span(skeleton))) {
    total_ = measure(MessageKind::kModel, 0, bytes_.size());
  }

  uint64_t total_bytes() const { return total_; }

  Status write(const PayloadSource& payload, const ByteSink& sink) {
    next_size_ = 0;
    FEWBIT_TRY(emit(MessageKind::kModel, 0, bytes_.size(), payload, sink));
    return flush(sink);
  }

 private:
  static constexpr size_t kFlushBytes = size_t{1} << 16;

  Field next(FieldReader& reader) const {
    Result<Field> f = reader.next();
    FEWBIT_CHECK(f.ok(), f.error().message());  // protobuf wrote it
    return *f;
  }

  uint64_t measure(MessageKind kind, size_t begin, size_t end) {
    uint64_t size = 0;
    FieldReader reader(bytes_, begin, end);
    while (!reader.done()) {
      Field f = next(reader);
      MessageKind child = child_kind(kind, f.number);
      if (child != MessageKind::kOther) {
        const size_t slot = sizes_.size();
        sizes_.push_back(0);
        const uint64_t inner = measure(child, f.content, f.end);
        sizes_[slot] = inner;
        size += varint_bytes(uint64_t{f.number} << 3) + varint_bytes(inner) + inner;
      } else if (kind == MessageKind::kTensor && f.number == kPayloadBytes) {
        size += 1 + varint_bytes(f.varint) + f.varint;
      } else if (kind != MessageKind::kTensor || f.number < kFirstPrivateField) {
        size += f.end - f.begin;
      }
    }
    return size;
  }

  Status emit(MessageKind kind, size_t begin, size_t end, const PayloadSource& payload,
              const ByteSink& sink) {
    FieldReader reader(bytes_, begin, end);
    uint64_t at = 0;
    while (!reader.done()) {
      Field f = next(reader);
      MessageKind child = child_kind(kind, f.number);
      if (child != MessageKind::kOther) {
        append_tag(pending_, f.number, kBytes);
        append_varint(pending_, sizes_[next_size_++]);
        FEWBIT_TRY(emit(child, f.content, f.end, payload, sink));
      } else if (kind == MessageKind::kTensor && f.number >= kFirstPrivateField) {
        if (f.number == kPayloadAt) at = f.varint;
        if (f.number != kPayloadBytes) continue;
        append_tag(pending_, kRawData, kBytes);
        append_varint(pending_, f.varint);
        FEWBIT_TRY(flush(sink));
        std::span<const std::byte> raw = payload(at, f.varint);
        FEWBIT_CHECK(raw.size() == f.varint, raw.size(), f.varint);
        FEWBIT_TRY(sink(raw));
      } else {
        pending_.append(reinterpret_cast<const char*>(bytes_.data()) + f.begin, f.end - f.begin);
      }
      if (pending_.size() >= kFlushBytes) FEWBIT_TRY(flush(sink));
    }
    return {};
  }

  Status flush(const ByteSink& sink) {
    if (pending_.empty()) return {};
    Status status = sink(std::as_bytes(std::span(pending_)));
    pending_.clear();
    return status;
  }

  std::span<const std::byte> bytes_;
  std::vector<uint64_t> sizes_;
  size_t next_size_ = 0;
  uint64_t total_ = 0;
  std::string pending_;
};

}  // namespace

Result<Skeleton> cut_payloads(std::span<const std::byte> model) {
  return Cutter(model).run();
}

uint64_t spliced_bytes(const std::string& skeleton) {
  return Splicer(skeleton).total_bytes();
}

Status splice_payloads(const std::string& skeleton, const PayloadSource& payload,
                       const ByteSink& sink) {
  return Splicer(skeleton).write(payload, sink);
}

}  // namespace fewbit::onnx
