// Times ggml_mul_mat on weights that lie where llama.cpp would put them. A worker of
// bench/peers/kernels.py: it reads a command a line and answers with a line of JSON.
//
//   types                                 -> {"buffers": ["AMX", "CPU_REPACK", "CPU"], ...}
//   weights TYPE BUFFER N K               -> {"bytes": of one copy, "copies": ...}
//   time M THREADS SECONDS                -> {"seconds": of one product, "calls": ...}
//   check THREADS                         -> {"error": relative, against the decoded weights}
//
// or {"unsupported": "why"}. Weights [N, K] are quantized by ggml_quantize_chunk and copied until
// they take more than 600 MiB: products walk through the copies, so that they are read from memory.
// A graph holds as many products as take some milliseconds, as a token's graph of a model does.
// Buffers lie on huge pages, as Fewbit's weights do; llama.cpp itself does not ask for them.

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace {

constexpr size_t kWalkedBytes = size_t{600} << 20;
constexpr double kMacsOfGraph = 2e9;
constexpr int64_t kMostRows = 512;

struct FreeContext {
  void operator()(ggml_context* c) const { ggml_free(c); }
};
struct FreeBuffer {
  void operator()(ggml_backend_buffer* b) const { ggml_backend_buffer_free(b); }
};
using Context = std::unique_ptr<ggml_context, FreeContext>;
using Buffer = std::unique_ptr<ggml_backend_buffer, FreeBuffer>;

std::string unsupported(const std::string& why) {
  return "{\"unsupported\": \"" + why + "\"}";
}

std::string name_of(ggml_backend_buffer_type_t type) {
  return ggml_backend_buft_name(type);
}

// The CPU device's buffer types for weights in llama.cpp's order: special ones first.
std::vector<ggml_backend_buffer_type_t> buffer_types(ggml_backend_dev_t device) {
  std::vector<ggml_backend_buffer_type_t> types;
  auto* const extra =
      reinterpret_cast<ggml_backend_dev_get_extra_bufts_t>(ggml_backend_reg_get_proc_address(
          ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts"));
  if (extra != nullptr) {
    for (ggml_backend_buffer_type_t* t = extra(device); t != nullptr && *t != nullptr; ++t) {
      types.push_back(*t);
    }
  }
  types.push_back(ggml_backend_dev_buffer_type(device));
  return types;
}

ggml_type type_of(const std::string& name) {
  for (int t = 0; t < GGML_TYPE_COUNT; ++t) {
    const char* known = ggml_type_name(static_cast<ggml_type>(t));
    if (known != nullptr && name == known) return static_cast<ggml_type>(t);
  }
  return GGML_TYPE_COUNT;
}

Context make_context(size_t tensors) {
  return Context(ggml_init(
      {tensors * ggml_tensor_overhead() * 2 + 4 * ggml_graph_overhead_custom(tensors, false),
       nullptr, true}));
}

std::vector<float> normal(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& v : values) v = distribution(generator);
  return values;
}

void use_huge_pages(uint8_t* base, size_t bytes) {
  constexpr uintptr_t kHugePage = uintptr_t{2} << 20;
  const auto address = reinterpret_cast<uintptr_t>(base);
  const uintptr_t start = (address + kHugePage - 1) & ~(kHugePage - 1);
  const uintptr_t end = (address + bytes) & ~(kHugePage - 1);
  // Refused on systems without them: then pages are small.
  madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
}

void log_errors(ggml_log_level level, const char* text, void*) {
  if (level == GGML_LOG_LEVEL_ERROR) std::fputs(text, stderr);
}

class Worker {
 public:
  Worker() : backend_(ggml_backend_cpu_init()), device_(ggml_backend_get_device(backend_)) {}

  std::string types() const {
    std::string buffers;
    for (ggml_backend_buffer_type_t t : buffer_types(device_)) {
      buffers += (buffers.empty() ? "\"" : ", \"") + name_of(t) + "\"";
    }
    return "{\"buffers\": [" + buffers + "], \"version\": \"" + ggml_version() + "\"}";
  }

  std::string set_weights(const std::string& type_name, const std::string& buffer_name, int64_t n,
                          int64_t k) {
    products_.clear();
    weights_.clear();
    buffer_.reset();
    n_ = n;
    k_ = k;
    const ggml_type type = type_of(type_name);
    if (type == GGML_TYPE_COUNT) return unsupported("no type " + type_name);
    if (k % ggml_blck_size(type) != 0) return unsupported("k is not whole blocks");
    ggml_backend_buffer_type_t buffer_type = nullptr;
    for (ggml_backend_buffer_type_t t : buffer_types(device_)) {
      if (name_of(t) == buffer_name) buffer_type = t;
    }
    if (buffer_type == nullptr) return unsupported("no buffer " + buffer_name);
    if (!takes(type, buffer_type)) return unsupported(buffer_name + " does not take it");
    return fill(type, buffer_type);
  }

  std::string time(int64_t m, int threads, double seconds) {
    if (weights_.empty()) return unsupported("no weights");
    using Clock = std::chrono::steady_clock;
    ggml_backend_cpu_set_n_threads(backend_, threads);
    const Products& products = products_of(m);
    int64_t calls = 0;
    double spent = 0;
    while (spent < seconds) {
      ggml_cgraph* graph = products.graphs[next_++ % products.graphs.size()];
      const Clock::time_point start = Clock::now();
      ggml_backend_graph_compute(backend_, graph);
      spent += std::chrono::duration<double>(Clock::now() - start).count();
      calls += ggml_graph_n_nodes(graph);
    }
    char line[128];
    std::snprintf(line, sizeof(line), "{\"seconds\": %.9g, \"calls\": %lld}",
                  spent / static_cast<double>(calls), static_cast<long long>(calls));
    return line;
  }

  // One product of two rows against the weights as ggml itself decodes them, in double.
  std::string check(int threads) {
    if (weights_.empty()) return unsupported("no weights");
    ggml_backend_cpu_set_n_threads(backend_, threads);
    const Products& products = products_of(2);
    for (ggml_cgraph* graph : products.graphs) ggml_backend_graph_compute(backend_, graph);
    std::vector<float> y(static_cast<size_t>(2 * n_));
    ggml_backend_tensor_get(products.y, y.data(), 0, y.size() * sizeof(float));
    double error = 0, total = 0;
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t i = 0; i < n_; ++i) {
        double wanted = 0;
        for (int64_t j = 0; j < k_; ++j) {
          wanted += static_cast<double>(decoded_[static_cast<size_t>(i * k_ + j)]) *
                    products.x[static_cast<size_t>(row * k_ + j)];
        }
        const double difference = y[static_cast<size_t>(row * n_ + i)] - wanted;
        error += difference * difference;
        total += wanted * wanted;
      }
    }
    char line[64];
    std::snprintf(line, sizeof(line), "{\"error\": %.6g}", std::sqrt(error / total));
    return line;
  }

 private:
  // All products of one number of rows. They share x, and y, which the last one leaves.
  struct Products {
    Context context;
    Buffer buffer;
    std::vector<float> x;
    ggml_tensor* y = nullptr;
    std::vector<ggml_cgraph*> graphs;
  };

  // What llama.cpp asks before it puts a weight into a buffer type.
  bool takes(ggml_type type, ggml_backend_buffer_type_t buffer_type) const {
    const Context context = make_context(8);
    ggml_tensor* w = ggml_new_tensor_2d(context.get(), type, k_, n_);
    ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, k_, kMostRows);
    ggml_tensor* y = ggml_mul_mat(context.get(), w, x);
    const Buffer empty(ggml_backend_buft_alloc_buffer(buffer_type, 0));
    w->buffer = empty.get();
    return ggml_backend_dev_supports_op(device_, y);
  }

  std::string fill(ggml_type type, ggml_backend_buffer_type_t buffer_type) {
    const std::vector<float> values = normal(static_cast<size_t>(n_ * k_), 1);
    std::vector<uint8_t> blocks(ggml_row_size(type, k_) * static_cast<size_t>(n_));
    const std::vector<float> ones(static_cast<size_t>(k_), 1.0F);
    ggml_quantize_chunk(type, values.data(), blocks.data(), 0, n_, k_,
                        ggml_quantize_requires_imatrix(type) ? ones.data() : nullptr);
    decoded_.resize(values.size());
    ggml_get_type_traits(type)->to_float(blocks.data(), decoded_.data(), n_ * k_);

    const size_t copies = kWalkedBytes / blocks.size() + 1;
    weight_context_ = make_context(copies);
    for (size_t i = 0; i < copies; ++i) {
      weights_.push_back(ggml_new_tensor_2d(weight_context_.get(), type, k_, n_));
    }
    const size_t alignment = ggml_backend_buft_get_alignment(buffer_type);
    const size_t each =
        (ggml_backend_buft_get_alloc_size(buffer_type, weights_[0]) + alignment - 1) / alignment *
        alignment;
    buffer_.reset(ggml_backend_buft_alloc_buffer(buffer_type, each * copies));
    if (buffer_ == nullptr) return unsupported("no memory");
    ggml_backend_buffer_set_usage(buffer_.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    auto* base = static_cast<uint8_t*>(ggml_backend_buffer_get_base(buffer_.get()));
    use_huge_pages(base, each * copies);
    for (size_t i = 0; i < copies; ++i) {
      ggml_backend_tensor_alloc(buffer_.get(), weights_[i], base + i * each);
      ggml_backend_tensor_set(weights_[i], blocks.data(), 0, blocks.size());
    }
    return "{\"bytes\": " + std::to_string(each) + ", \"copies\": " + std::to_string(copies) + "}";
  }

  const Products& products_of(int64_t m) {
    const auto found = products_.find(m);
    if (found != products_.end()) return found->second;
    Products& p = products_[m];
    p.context = make_context(2 * weights_.size() + 4);
    ggml_tensor* x = ggml_new_tensor_2d(p.context.get(), GGML_TYPE_F32, k_, m);
    std::vector<ggml_tensor*> all;
    for (ggml_tensor* w : weights_) all.push_back(ggml_mul_mat(p.context.get(), w, x));
    p.y = all[0];

    ggml_backend_buffer_type_t type = ggml_backend_get_default_buffer_type(backend_);
    const size_t x_bytes = ggml_nbytes(x) + 4096;
    p.buffer.reset(ggml_backend_buft_alloc_buffer(type, x_bytes + ggml_nbytes(p.y) + 4096));
    auto* base = static_cast<uint8_t*>(ggml_backend_buffer_get_base(p.buffer.get()));
    ggml_backend_tensor_alloc(p.buffer.get(), x, base);
    uint8_t* result = base + x_bytes / 64 * 64;
    for (ggml_tensor* y : all) ggml_backend_tensor_alloc(p.buffer.get(), y, result);
    p.x = normal(static_cast<size_t>(m * k_), 2);
    ggml_backend_tensor_set(x, p.x.data(), 0, ggml_nbytes(x));

    const double macs = static_cast<double>(m) * static_cast<double>(n_) * static_cast<double>(k_);
    const size_t per_graph = std::max<size_t>(1, static_cast<size_t>(kMacsOfGraph / macs));
    for (size_t i = 0; i < all.size(); i += per_graph) {
      const size_t end = std::min(i + per_graph, all.size());
      ggml_cgraph* graph = ggml_new_graph_custom(p.context.get(), end - i + 8, false);
      for (size_t j = i; j < end; ++j) ggml_build_forward_expand(graph, all[j]);
      p.graphs.push_back(graph);
    }
    return p;
  }

  ggml_backend_t backend_;
  ggml_backend_dev_t device_;
  int64_t n_ = 0, k_ = 0;
  std::vector<float> decoded_;  // [n, k]
  Context weight_context_;
  Buffer buffer_;
  std::vector<ggml_tensor*> weights_;
  std::map<int64_t, Products> products_;
  size_t next_ = 0;
};

std::string answer(Worker& worker, const std::string& line) {
  std::istringstream words(line);
  std::string command, type, buffer;
  int64_t m = 0, n = 0, k = 0;
  int threads = 0;
  double seconds = 0;
  words >> command;
  if (command == "types") return worker.types();
  if (command == "weights" && words >> type >> buffer >> n >> k) {
    return worker.set_weights(type, buffer, n, k);
  }
  if (command == "time" && words >> m >> threads >> seconds) {
    return worker.time(m, threads, seconds);
  }
  if (command == "check" && words >> threads) return worker.check(threads);
  return unsupported("not a command");
}

}  // namespace

int main() {
  ggml_log_set(log_errors, nullptr);
  Worker worker;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << answer(worker, line) << std::endl;
}
