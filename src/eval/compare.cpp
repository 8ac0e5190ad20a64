#include "eval/compare.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "base/progress.h"
#include "eval/channel_gains.h"
#include "eval/feeds.h"
#include "eval/match_values.h"
#include "graph/infer.h"
#include "numerics/error_stats.h"

namespace fewbit {
namespace {

// Enough for the gains of equalization: they are exact, only the noise around them is not.
constexpr int64_t kGainSamples = 16;

using Values = std::unordered_map<std::string, Tensor>;

// What a piece of the float model makes of the quantized model's values.
struct BornError {
  Session session;
  std::vector<std::string> inputs;
};

struct Layer {
  MatchedValue match;
  LayerComparison result;
  std::optional<BornError> born;  ///< none for an input of the model
  ChannelGains fit;
  std::vector<float> gains;
  ErrorStats total, own;
  bool measured = false;
};

class Comparer {
 public:
  static Result<Comparer> create(const Model& float_model, const Model& quantized_model,
                                 const DataSet& data, const CompareOptions& options) {
    Model original = float_model;
    FEWBIT_TRY(infer_graph(original.graph));
    SessionOptions session;
    session.threads = options.threads;
    FEWBIT_ASSIGN(Session plain, Session::create(original, session));
    FEWBIT_ASSIGN(Session quantized, Session::create(quantized_model, session));
    FEWBIT_ASSIGN(SampleFeeder feeder, SampleFeeder::create(plain, data));
    FEWBIT_ASSIGN(SampleFeeder quantized_feeder, SampleFeeder::create(quantized, data));
    if (feeder.fixed_batch() != quantized_feeder.fixed_batch()) {
      return bad_input("the models differ in their batch size: {} and {}", feeder.fixed_batch(),
                       quantized_feeder.fixed_batch());
    }
    Comparer out(std::move(plain), std::move(quantized), std::move(feeder),
                 std::move(quantized_feeder));
    FEWBIT_TRY(out.find_layers(original, quantized_model, session));
    FEWBIT_TRY(out.watch());
    return out;
  }

  Result<Comparison> run(const DataSet& data, const CompareOptions& options) {
    const int64_t samples =
        options.samples > 0 ? std::min(options.samples, data.size()) : data.size();
    const int64_t piece = std::max<int64_t>(float_feeder_.fixed_batch(), 1);
    for (int64_t begin = 0; begin < std::min(samples, kGainSamples); begin += piece) {
      FEWBIT_TRY(run_models(data, begin, piece));
      fit_gains();
    }
    for (Layer& layer : layers_) {
      // What the model takes and gives is never rescaled: a factor there is an error.
      const bool inner = layer.born && std::find(outputs_.begin(), outputs_.end(),
                                                 layer.match.float_name) == outputs_.end();
      if (inner) layer.gains = layer.fit.found();
    }
    Progress bar(options.progress, "samples", samples);
    for (int64_t begin = 0; begin < samples; begin += piece) {
      FEWBIT_TRY(run_models(data, begin, piece));
      FEWBIT_TRY(add_errors());
      bar.advance(piece);
    }
    return finish(samples);
  }

 private:
  Comparer(Session plain, Session quantized, SampleFeeder float_feeder,
           SampleFeeder quantized_feeder)
      : float_(std::move(plain)),
        quantized_(std::move(quantized)),
        float_feeder_(std::move(float_feeder)),
        quantized_feeder_(std::move(quantized_feeder)) {}

  Status find_layers(const Model& original, const Model& quantized, const SessionOptions& options) {
    const auto matches = match_values(original.graph, quantized.graph);
    if (matches.empty()) {
      return bad_input("the models have no value in common: is the second made from the first?");
    }
    std::set<std::string> cuts;
    for (const MatchedValue& m : matches) cuts.insert(m.float_name);
    for (const MatchedValue& m : matches) {
      Layer layer;
      layer.match = m;
      layer.result.value = m.float_name;
      if (original.graph.is_input(original.graph.find_value(m.float_name))) {
        layer.result.name = m.float_name;
        layer.result.op = "input";
        // An input that the quantized model reads as it is has no error to show.
        if (m.quantized_name == m.float_name) layer.result.op.clear();
      } else {
        Piece piece = cut_piece(original, m.float_name, cuts);
        layer.result.name = piece.name;
        layer.result.op = piece.op;
        auto session = Session::create(std::move(piece.model), options);
        if (!session.ok()) return std::move(session).error().with_context(piece.name);
        layer.born = BornError{std::move(session).value(), std::move(piece.inputs)};
      }
      layers_.push_back(std::move(layer));
    }
    for (ValueId id : original.graph.outputs) outputs_.push_back(original.graph.value(id).name);
    return {};
  }

  Status watch() {
    std::vector<std::string> names, quantized_names;
    for (const Layer& layer : layers_) {
      names.push_back(layer.match.float_name);
      quantized_names.push_back(layer.match.quantized_name);
    }
    auto keep = [](Values& values) {
      return [&values](const std::string& name, const Tensor& value) {
        if (value.type() == DType::kFloat32) values[name] = value.clone();
      };
    };
    FEWBIT_TRY(float_.watch(names, keep(*float_values_)));
    return quantized_.watch(quantized_names, keep(*quantized_values_));
  }

  Status run_models(const DataSet& data, int64_t begin, int64_t piece) {
    float_values_->clear();
    quantized_values_->clear();
    FEWBIT_ASSIGN(const Batch batch, data.batch(begin, piece));
    const auto count = static_cast<int64_t>(batch.labels.size());
    FEWBIT_ASSIGN(feeds_, float_feeder_.feeds(batch, 0, count));
    FEWBIT_TRY(float_.run(feeds_));
    FEWBIT_ASSIGN(const Feeds feeds, quantized_feeder_.feeds(batch, 0, count));
    auto status = quantized_.run(feeds);
    if (!status.ok()) return std::move(status).error().with_context("quantized model");
    return {};
  }

  // Both versions of a layer's value, or null where either is no float tensor or shapes differ.
  std::pair<const Tensor*, const Tensor*> values_of(const Layer& layer) const {
    auto f = float_values_->find(layer.match.float_name);
    auto q = quantized_values_->find(layer.match.quantized_name);
    if (f == float_values_->end() || q == quantized_values_->end() ||
        f->second.dims() != q->second.dims()) {
      return {nullptr, nullptr};
    }
    return {&f->second, &q->second};
  }

  void fit_gains() {
    for (Layer& layer : layers_) {
      auto [f, q] = values_of(layer);
      if (f != nullptr) layer.fit.add(*f, *q);
    }
  }

  Status add_errors() {
    Values scaled_back;  // the quantized model's values, by their name in the float model
    for (Layer& layer : layers_) {
      auto [f, q] = values_of(layer);
      if (f == nullptr) continue;
      Tensor value = without_gains(*q, layer.gains);
      layer.total.add(f->span<float>(), value.span<float>());
      layer.measured = true;
      scaled_back[layer.match.float_name] = std::move(value);
    }
    for (Layer& layer : layers_) {
      auto value = scaled_back.find(layer.match.float_name);
      if (value == scaled_back.end()) continue;
      if (!layer.born) {
        layer.own = layer.total;
        continue;
      }
      Feeds feeds;
      for (const std::string& input : layer.born->inputs) {
        auto known = scaled_back.find(input);
        if (known != scaled_back.end()) {
          feeds.emplace_back(input, known->second);
          continue;
        }
        for (const auto& [name, tensor] : feeds_) {
          if (name == input) feeds.emplace_back(name, tensor);
        }
      }
      if (feeds.size() != layer.born->inputs.size()) continue;
      auto outputs = layer.born->session.run(feeds);
      if (!outputs.ok()) return std::move(outputs).error().with_context(layer.result.name);
      const Tensor& expected = outputs->front().tensor();
      if (expected.dims() != value->second.dims()) continue;
      layer.own.add(expected.span<float>(), value->second.span<float>());
    }
    return {};
  }

  Comparison finish(int64_t samples) {
    Comparison out;
    out.samples = samples;
    for (Layer& layer : layers_) {
      if (!layer.measured || layer.result.op.empty()) continue;
      LayerComparison& result = layer.result;
      result.sqnr_db = layer.total.sqnr_db();
      result.cosine = layer.total.cosine();
      result.own_sqnr_db = layer.own.count() > 0 ? layer.own.sqnr_db() : std::nan("");
      result.rescaled = !layer.gains.empty();
      out.layers.push_back(result);
    }
    for (const std::string& name : outputs_) {
      for (const LayerComparison& layer : out.layers) {
        if (layer.value != name) continue;
        out.outputs.push_back(layer);
        out.outputs.back().name = name;
      }
    }
    std::stable_sort(out.layers.begin(), out.layers.end(),
                     [](const LayerComparison& a, const LayerComparison& b) {
                       if (std::isnan(a.own_sqnr_db) || std::isnan(b.own_sqnr_db)) {
                         return !std::isnan(a.own_sqnr_db) && std::isnan(b.own_sqnr_db);
                       }
                       return a.own_sqnr_db < b.own_sqnr_db;
                     });
    return out;
  }

  Session float_, quantized_;
  SampleFeeder float_feeder_, quantized_feeder_;
  std::vector<Layer> layers_;
  std::vector<std::string> outputs_;
  Feeds feeds_;
  // On the heap: the hooks refer to them, and a Comparer moves.
  std::unique_ptr<Values> float_values_ = std::make_unique<Values>();
  std::unique_ptr<Values> quantized_values_ = std::make_unique<Values>();
};

}  // namespace

Result<Comparison> compare(const Model& float_model, const Model& quantized_model,
                           const DataSet& data, const CompareOptions& options) {
  FEWBIT_ASSIGN(Comparer comparer, Comparer::create(float_model, quantized_model, data, options));
  return comparer.run(data, options);
}

}  // namespace fewbit
