#include "base/file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>
#include <system_error>

namespace fewbit {
namespace {

constexpr size_t kBufferBytes = 256 * 1024;

std::string reason(int error) {
  return std::generic_category().message(error);
}

/// Closes a descriptor at the end of its scope.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int get() const { return descriptor_; }

 private:
  int descriptor_;
};

int open_retrying(const char* path, int flags, mode_t mode = 0) {
  int descriptor = -1;
  do {
    descriptor = ::open(path, flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/// Writes everything at the descriptor's position (offset < 0) or at `offset`; returns errno or 0.
int write_all(int descriptor, std::span<const std::byte> bytes, int64_t offset) {
  while (!bytes.empty()) {
    const ssize_t written = offset < 0 ? ::write(descriptor, bytes.data(), bytes.size())
                                       : ::pwrite(descriptor, bytes.data(), bytes.size(), offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return errno;
    }
    bytes = bytes.subspan(static_cast<size_t>(written));
    if (offset >= 0) offset += written;
  }
  return 0;
}

Error write_error(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    return io_error("{}: cannot write: {}; the file was left as it was", path,
                    error == ENOSPC ? "the disk is full" : "the disk quota is used up");
  }
  return io_error("{}: cannot write: {}", path, reason(error));
}

Error create_error(const std::string& path, const std::string& folder, int error) {
  switch (error) {
    case EROFS:
      return io_error("{}: cannot write: the file system is read-only", path);
    case EACCES:
      return io_error("{}: cannot write: no permission in folder {}", path, folder);
    case ENOENT:
      return io_error("{}: cannot write: there is no folder {}", path, folder);
    case ENOTDIR:
      return io_error("{}: cannot write: {} is not a folder", path, folder);
    default:
      return write_error(path, error);
  }
}

/// Where a write to `path` goes: links resolved; only absent and regular files may be replaced.
Result<std::string> writable_target(const std::string& path) {
  if (path.empty()) return misuse("the name of the file to write is empty");
  std::error_code error;
  std::filesystem::path target = path;
  // weakly_canonical leaves a dangling link unresolved; following it by hand would not be safer.
  if (std::filesystem::is_symlink(target, error)) {
    target = std::filesystem::weakly_canonical(target, error);
    if (error) return io_error("{}: cannot follow the link: {}", path, error.message());
  }
  struct stat info {};
  if (::stat(target.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return io_error("{}: cannot write: it is a folder", path);
    if (!S_ISREG(info.st_mode)) {
      return io_error("{}: cannot write: it is not a regular file", path);
    }
  }
  return target.string();
}

std::string folder_of(const std::string& path) {
  const std::string folder = std::filesystem::path(path).parent_path().string();
  return folder.empty() ? "." : folder;
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  // Not to wait for the other end where the path is a pipe; regular files ignore the flag.
  const Descriptor file(open_retrying(path.c_str(), O_RDONLY | O_NONBLOCK));
  if (file.get() < 0) return io_error("{}: cannot open: {}", path, reason(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) {
    return io_error("{}: cannot read: {}", path, reason(errno));
  }
  if (S_ISDIR(info.st_mode)) return io_error("{}: is a folder, expected a file", path);
  if (!S_ISREG(info.st_mode)) return io_error("{}: is not a regular file", path);
  MappedFile mapped;
  mapped.path_ = path;
  mapped.size_ = static_cast<size_t>(info.st_size);
  if (mapped.size_ == 0) return mapped;  // mmap refuses a length of zero
  const size_t size = mapped.size_;
  void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (data == MAP_FAILED) return io_error("{}: cannot map: {}", path, reason(errno));
  mapped.data_ = static_cast<const std::byte*>(data);
  mapped.owner_ = std::shared_ptr<void>(data, [size](void* p) { ::munmap(p, size); });
  return mapped;
}

void MappedFile::advise_sequential() const {
  // Advice only: its failure changes nothing but the speed.
  if (size_ > 0) (void)::madvise(owner_.get(), size_, MADV_SEQUENTIAL);
}

Result<std::string> read_file(const std::string& path) {
  const Descriptor file(open_retrying(path.c_str(), O_RDONLY));
  if (file.get() < 0) return io_error("{}: cannot open: {}", path, reason(errno));
  struct stat info {};
  if (::fstat(file.get(), &info) == 0 && S_ISDIR(info.st_mode)) {
    return io_error("{}: is a folder, expected a file", path);
  }
  std::string content;
  size_t used = 0;
  // One byte more than the size, so that the end of a regular file is seen without growing.
  content.resize(S_ISREG(info.st_mode) ? static_cast<size_t>(info.st_size) + 1 : kBufferBytes);
  for (;;) {
    const ssize_t got = ::read(file.get(), content.data() + used, content.size() - used);
    if (got < 0) {
      if (errno == EINTR) continue;
      return io_error("{}: cannot read: {}", path, reason(errno));
    }
    if (got == 0) break;
    used += static_cast<size_t>(got);
    if (used == content.size()) content.resize(content.size() * 2);
  }
  content.resize(used);
  return content;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept {
  *this = std::move(other);
}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  if (this == &other) return *this;
  discard();
  path_ = std::move(other.path_);
  target_ = std::move(other.target_);
  temporary_ = std::exchange(other.temporary_, {});
  descriptor_ = std::exchange(other.descriptor_, -1);
  offset_ = std::exchange(other.offset_, 0);
  buffer_ = std::exchange(other.buffer_, {});
  return *this;
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (!temporary_.empty()) ::unlink(std::exchange(temporary_, {}).c_str());
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  AtomicFile file;
  file.path_ = path;
  FEWBIT_ASSIGN(file.target_, writable_target(path));
  std::random_device entropy;
  for (int attempt = 0;; ++attempt) {
    // open() with 0666 lets the umask decide the permissions, which mkstemp does not.
    const std::string name = fmt::format("{}.tmp-{:08x}", file.target_, entropy());
    file.descriptor_ = open_retrying(name.c_str(), O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (file.descriptor_ >= 0) {
      file.temporary_ = name;
      break;
    }
    if (errno != EEXIST || attempt == 100) {
      return create_error(path, folder_of(file.target_), errno);
    }
  }
  file.buffer_.reserve(kBufferBytes);
  return file;
}

Status AtomicFile::flush() {
  const int error = write_all(descriptor_, buffer_, -1);
  buffer_.clear();
  if (error == 0) return {};
  discard();
  return write_error(path_, error);
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  if (descriptor_ < 0) return io_error("{}: cannot write: an earlier write failed", path_);
  if (buffer_.size() + bytes.size() > kBufferBytes) FEWBIT_TRY(flush());
  if (bytes.size() >= kBufferBytes) {
    if (const int error = write_all(descriptor_, bytes, -1); error != 0) {
      discard();
      return write_error(path_, error);
    }
  } else {
    buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
  }
  offset_ += bytes.size();
  return {};
}

Status AtomicFile::align(size_t alignment_bytes) {
  FEWBIT_CHECK(alignment_bytes > 0);
  const size_t past = static_cast<size_t>(offset_ % alignment_bytes);
  if (past == 0) return {};
  const std::vector<std::byte> zeros(alignment_bytes - past);
  return write(zeros);
}

Status AtomicFile::overwrite(uint64_t offset, std::span<const std::byte> bytes) {
  FEWBIT_CHECK(offset <= offset_ && bytes.size() <= offset_ - offset, offset, bytes.size());
  if (descriptor_ < 0) return io_error("{}: cannot write: an earlier write failed", path_);
  FEWBIT_TRY(flush());
  if (const int error = write_all(descriptor_, bytes, static_cast<int64_t>(offset)); error != 0) {
    discard();
    return write_error(path_, error);
  }
  return {};
}

Status AtomicFile::commit() {
  if (descriptor_ < 0) return io_error("{}: cannot write: an earlier write failed", path_);
  FEWBIT_TRY(flush());
  int error = ::fsync(descriptor_) == 0 ? 0 : errno;
  // Some file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0 && error == 0) error = errno;
  if (error == 0 && ::rename(temporary_.c_str(), target_.c_str()) != 0) error = errno;
  if (error != 0) {
    discard();
    return write_error(path_, error);
  }
  temporary_.clear();
  // The rename itself is safe against a power cut only once the folder is on the disk. The file is
  // complete either way, so a file system that cannot sync a folder is no error.
  const Descriptor folder(open_retrying(folder_of(target_).c_str(), O_RDONLY | O_DIRECTORY));
  if (folder.get() >= 0) (void)::fsync(folder.get());
  return {};
}

Status write_file(const std::string& path, std::string_view content) {
  FEWBIT_ASSIGN(AtomicFile file, AtomicFile::create(path));
  FEWBIT_TRY(file.write(content));
  return file.commit();
}

}  // namespace fewbit
