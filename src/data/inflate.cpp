#include "data/inflate.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "base/tensor.h"
#include "base/text.h"

namespace fewbit {
namespace {

constexpr size_t kMaxStepBytes = size_t{1} << 30;  // zlib counts in 32 bits

}  // namespace

Inflater::Inflater(std::span<const std::byte> compressed, Wrapping wrapping, std::string name)
    : stream_(std::make_unique<z_stream_s>()), unread_(compressed), name_(std::move(name)) {
  *stream_ = {};
  // zlib's convention: a negative window size means no wrapping, 16 more means gzip's.
  const int window = wrapping == Wrapping::kRaw ? -MAX_WBITS : 16 + MAX_WBITS;
  const int status = inflateInit2(stream_.get(), window);
  FEWBIT_CHECK(status == Z_OK, status);
}

Inflater::Inflater(Inflater&&) noexcept = default;

Inflater::~Inflater() {
  if (stream_ != nullptr) inflateEnd(stream_.get());
}

Result<size_t> Inflater::read_some(std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size() && !ended_) {
    if (stream_->avail_in == 0 && !unread_.empty()) {
      const size_t step = std::min(unread_.size(), kMaxStepBytes);
      stream_->next_in =
          const_cast<Bytef*>(reinterpret_cast<const Bytef*>(unread_.data()));  // zlib's old API
      stream_->avail_in = static_cast<uInt>(step);
      unread_ = unread_.subspan(step);
    }
    const size_t room = std::min(out.size() - done, kMaxStepBytes);
    auto* next = reinterpret_cast<Bytef*>(out.data() + done);
    stream_->next_out = next;
    stream_->avail_out = static_cast<uInt>(room);
    const int status = inflate(stream_.get(), Z_NO_FLUSH);
    const size_t produced = room - stream_->avail_out;
    crc_ = static_cast<uint32_t>(crc32(crc_, next, static_cast<uInt>(produced)));
    done += produced;
    if (status == Z_STREAM_END) {
      ended_ = true;
    } else if (status == Z_BUF_ERROR && stream_->avail_in == 0 && unread_.empty()) {
      return bad_input("{}: the compressed data is cut off", name_);
    } else if (status != Z_OK) {
      return bad_input("{}: damaged compressed data: {}", name_,
                       stream_->msg != nullptr ? stream_->msg : "inflate failed");
    }
  }
  return done;
}

Status Inflater::read(std::span<std::byte> out) {
  FEWBIT_ASSIGN(const size_t got, read_some(out));
  if (got == out.size()) return {};
  return bad_input("{}: the decompressed data ends {} bytes too early", name_, out.size() - got);
}

Status Inflater::expect_end() {
  std::byte extra{};
  FEWBIT_ASSIGN(const size_t got, read_some(std::span(&extra, 1)));
  if (got == 0) return {};
  return bad_input("{}: there is more decompressed data than its header says", name_);
}

int64_t largest_inflated_bytes(int64_t compressed_bytes) {
  int64_t bytes = 0;
  if (__builtin_mul_overflow(compressed_bytes, 1032, &bytes)) return INT64_MAX;
  return std::min(bytes, INT64_MAX - 4096) + 4096;
}

Result<Scratch> allocate_scratch(int64_t bytes, int64_t heap_limit_bytes) {
  if (bytes <= heap_limit_bytes) {
    // A tensor's memory is aligned for every element type.
    auto tensor = std::make_shared<Tensor>(Tensor::uninitialized(DType::kUint8, {bytes}));
    return Scratch{tensor->raw(), tensor};
  }
  const char* folder = std::getenv("TMPDIR");
  std::string name = fmt::format("{}/fewbit-XXXXXX", folder != nullptr ? folder : "/var/tmp");
  const int file = ::mkostemp(name.data(), O_CLOEXEC);
  const auto fail = [&](int error) {
    if (file >= 0) ::close(file);
    return io_error("{}: no room for {} of decompressed data: {} (TMPDIR names another folder)",
                    name, human_bytes(bytes), std::generic_category().message(error));
  };
  if (file < 0) return fail(errno);
  ::unlink(name.c_str());
  // Taking the space now turns a full disk into an error here, and not into a signal later.
  if (const int error = ::posix_fallocate(file, 0, bytes); error != 0) return fail(error);
  const auto size = static_cast<size_t>(bytes);
  void* data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (data == MAP_FAILED) return fail(errno);
  ::close(file);
  return Scratch{static_cast<std::byte*>(data),
                 std::shared_ptr<void>(data, [size](void* p) { ::munmap(p, size); })};
}

}  // namespace fewbit
