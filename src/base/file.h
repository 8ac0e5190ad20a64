#pragma once
// Files: mapped for reading, and written so that a half-finished one is never seen.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fewbit {

/// A whole file mapped read-only. A cheap handle: copies share one mapping, which stays while any
/// of them (or the owner given to a Tensor::view) lives. The pages come from the page cache, so the
/// memory can be taken back by the system at any time. A file that another program shortens while
/// it is mapped raises SIGBUS on access, as any mapping does.
class MappedFile {
 public:
  MappedFile() = default;

  /// Errors (kIo): no such file, no permission, a folder, not a regular file.
  static Result<MappedFile> open(const std::string& path);

  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  const std::string& path() const { return path_; }

  /// Keeps the mapping alive; for Tensor::view.
  std::shared_ptr<void> owner() const { return owner_; }

  /// Tells the system that the whole file will be read soon, once, from front to back.
  void advise_sequential() const;

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<void> owner_;
};

/// The whole file in memory, also of pipes and devices (`/dev/stdin`).
Result<std::string> read_file(const std::string& path);

/// Writes PATH all or not at all: the bytes go to PATH.tmp-XXXXXXXX in the same folder, commit()
/// flushes them to the disk and renames the file over PATH. Without a commit (an error, an early
/// return) the destructor removes the temporary file, and a program killed half way leaves PATH as
/// it was. A symbolic link is followed: the file it points to is replaced, not the link.
class AtomicFile {
 public:
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  /// Errors (kIo): the folder is missing or read-only, PATH is a folder, a device or a pipe.
  static Result<AtomicFile> create(const std::string& path);

  /// Appends. Errors (kIo): disk full, quota, I/O error; each names the path.
  Status write(std::span<const std::byte> bytes);
  Status write(std::string_view text) { return write(std::as_bytes(std::span(text))); }

  /// Appends zeros until the offset is a multiple of `alignment_bytes`.
  Status align(size_t alignment_bytes);

  /// Overwrites bytes written before (a header whose content is known only at the end).
  Status overwrite(uint64_t offset, std::span<const std::byte> bytes);

  /// Bytes appended until now.
  uint64_t offset() const { return offset_; }
  const std::string& path() const { return path_; }

  /// Flush, fsync, rename. The object is closed afterwards, whatever the outcome.
  Status commit();

 private:
  AtomicFile() = default;
  Status flush();
  void discard();

  std::string path_;       ///< As the caller named it, for messages.
  std::string target_;     ///< With symbolic links resolved.
  std::string temporary_;  ///< Empty once committed or removed.
  int descriptor_ = -1;
  uint64_t offset_ = 0;
  std::vector<std::byte> buffer_;  ///< Not yet written: the last bytes before offset_.
};

/// AtomicFile for content that is at hand as a whole.
Status write_file(const std::string& path, std::string_view content);

}  // namespace fewbit
