#pragma once
// Fewbit's own file, .fewbit: a safetensors file with the graph in its metadata. The layout to the
// byte: docs/native-file.md.

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// Whether a file that begins so is a safetensors file (with or without a graph) and no ONNX model.
bool is_native(std::span<const std::byte> bytes);

/// Reads a model: maps the file and checks header, sizes and graph against each other. Constants
/// view the mapped file and keep it mapped; their bytes are not read (but those of booleans, which
/// must be 0 or 1), so damage inside them is found by verify_native only.
/// Errors: kIo (no such file, ...), kBadInput (not such a file, cut short, damaged), kUnsupported
/// (a later version of the format, element types we do not have); each names the file and the
/// tensor, node or byte.
Result<Model> read_native(const std::string& path);

/// Reads a model from memory. With an `owner` that keeps the bytes alive, tensors view them;
/// without one they copy. `name` stands in messages where a file's path would.
Result<Model> parse_native(std::span<const std::byte> bytes, std::shared_ptr<void> owner = nullptr,
                           const std::string& name = "model");

/// Writes PATH all or not at all. The same model gives the same bytes. Constants of equal type,
/// dimensions and bytes are stored once; those that nothing reads are left out. Memory: the graph
/// without its constants.
/// Errors: kIo (disk full, ...), kBadInput (a cycle; metadata under a key that the format uses
/// itself), kUnsupported (a graph of 75 MB without its constants); each names the file.
Status write_native(const Model& model, const std::string& path);

/// The file's bytes, in memory.
Result<std::string> serialize_native(const Model& model);

/// Reads the whole file and compares every tensor with the hash of what was written. Errors: those
/// of read_native; kBadInput names the first damaged tensor and where it lies.
Status verify_native(const std::string& path);

/// The same for bytes in memory.
Status verify_native(std::span<const std::byte> bytes, const std::string& name = "model");

}  // namespace fewbit
