#pragma once
// Which constants of a graph become tensors of a native file, and under which names.

#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "graph/graph.h"
#include "io/safetensors/writer.h"

namespace fewbit::native {

class ConstantStore {
 public:
  explicit ConstantStore(const Graph& graph) { collect_parts(graph, {}); }

  /// The name under which the constant is stored, or nothing for one that stays in the graph:
  /// strings, empty ones, single numbers, lists of less than 1 KiB of int64 (shapes, axes) — unless
  /// a packed weight consists of it. Constants of equal type, dimensions and bytes get one name,
  /// the first's; a name that is taken otherwise gets a number behind it.
  std::optional<std::string> place(const std::string& name, const Tensor& tensor);

  /// What was placed, in order.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  /// JSON: name of a tensor -> its SHA-256.
  std::string hashes_json() const;
  /// JSON: name of a packed weight -> its format and the names of its parts; after all was placed.
  std::string formats_json() const;

 private:
  /// Type, dimensions and place of a tensor in memory.
  using Identity = std::tuple<DType, Dims, const std::byte*>;
  /// Type, dimensions and SHA-256 of its bytes.
  using Content = std::tuple<DType, Dims, std::string>;
  struct PackedWeight {
    std::string name, format;
    int64_t rows, cols, transposed;
    std::vector<int64_t> dims;
    std::vector<Tensor> parts;
  };
  static Identity identity_of(const Tensor& t) { return {t.type(), t.dims(), t.raw()}; }

  void collect_parts(const Graph& graph, std::vector<const Graph*> outer);
  std::string free_name(const std::string& name);

  std::vector<PackedWeight> weights_;  ///< in graph order
  std::set<Identity> parts_;           ///< of packed weights
  std::vector<NamedTensor> tensors_;
  std::vector<std::string> hashes_;  ///< of tensors_
  std::map<Identity, std::string> by_identity_;
  std::map<Content, std::string> by_content_;
  std::set<std::string, std::less<>> names_;
};

}  // namespace fewbit::native
