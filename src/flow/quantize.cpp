#include "flow/quantize.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "base/file.h"
#include "base/memory_use.h"
#include "base/threads.h"
#include "calib/calibrate.h"
#include "data/dataset.h"
#include "eval/compare.h"
#include "eval/evaluate.h"
#include "eval/feeds.h"
#include "flow/input_statistics.h"
#include "io/model_file.h"
#include "numerics/error_stats.h"
#include "passes/correct_bias.h"
#include "passes/export_onnx.h"
#include "passes/node_names.h"
#include "passes/pack_weights.h"
#include "passes/packed_layers.h"
#include "passes/quantize_dynamic.h"
#include "passes/quantize_graph.h"
#include "runtime/packed_weight.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

// The empirical bias correction reads its samples once for each layer: so many bytes of them are
// decoded once.
constexpr int64_t kRememberedBytes = int64_t{64} << 20;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int64_t file_bytes(const std::string& path) {
  std::error_code error;
  auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

// Codes of codes would lose what the first ones kept.
Status check_is_float(const Model& model) {
  for (NodeId id : model.graph.order()) {
    const Node& node = model.graph.node(id);
    if (!is_decode(node)) continue;
    return bad_input("{}: the weights behind {} are in {} already: quantize the float model",
                     model.path, node.label(), node.get_string("format", "few bits"));
  }
  return {};
}

// One run: each member function is a stage of the flow.
class Run {
 public:
  explicit Run(const Recipe& recipe) : recipe_(recipe) {}

  Result<QuantizeReport> operator()(const std::string& input, const std::string& output) {
    auto start = Clock::now();
    FEWBIT_ASSIGN(output_kind_, kind_of_name(output));
    FEWBIT_TRY(load(input));
    // What cannot be written is found before the work, not after it.
    if (auto file = AtomicFile::create(output); !file.ok()) return std::move(file).error();
    FEWBIT_TRY(prepare_graph());
    FEWBIT_TRY(plan());
    FEWBIT_TRY(calibrate());
    FEWBIT_TRY(quantize());
    FEWBIT_TRY(verify());
    FEWBIT_TRY(save(output));
    report_.seconds_total = seconds_since(start);
    report_.peak_rss_bytes = peak_rss_bytes();
    return std::move(report_);
  }

 private:
  bool needs_data() const { return scheme_.activations == Activations::kStatic; }
  // Weights go into a format, and no value gets a quantizer.
  bool packs_only() const { return scheme_.weight_format && !needs_data(); }

  SessionOptions session_options() const {
    SessionOptions options;
    options.threads = static_cast<int>(recipe_.threads);
    options.seed = static_cast<uint64_t>(recipe_.seed);
    return options;
  }

  Status load(const std::string& input) {
    FEWBIT_ASSIGN(scheme_, scheme_of(recipe_));
    FEWBIT_ASSIGN(model_, read_model(input));
    FEWBIT_TRY(check_is_float(model_));
    set_threads(static_cast<int>(recipe_.threads));
    report_.input = input;
    report_.scheme = scheme_.name();
    report_.weight_only = scheme_.weight_format && scheme_.activations == Activations::kFloat;
    report_.target = recipe_.target;
    report_.version = version();
    report_.seed = recipe_.seed;
    report_.float_bytes = file_bytes(input);
    if (recipe_.calibration_data.empty()) {
      if (needs_data()) {
        return misuse(
            "scheme {} quantizes activations: it needs calibration data (--calib SET.toml)",
            scheme_.name());
      }
      return {};
    }
    DataSetOverrides overrides;
    if (recipe_.calibration_samples > 0) overrides.limit = recipe_.calibration_samples;
    if (recipe_.seed != 0) overrides.seed = static_cast<uint64_t>(recipe_.seed);
    FEWBIT_ASSIGN(data_, DataSet::open(recipe_.calibration_data, overrides));
    FEWBIT_ASSIGN(report_.data_hash, data_->hash());
    report_.calibration_samples = data_->size();
    return {};
  }

  // The calibration samples as the model's feeds, at most `limit` of them (0: all).
  BatchSource batches(int64_t limit) const {
    const SampleFeeder& feeder = *feeder_;
    int64_t size = feeder.fixed_batch() > 0 ? feeder.fixed_batch() : recipe_.calibration_batch;
    int64_t whole = (limit + size - 1) / size * size;  // full batches
    int64_t samples = limit > 0 ? std::min(whole, data_->size()) : data_->size();
    BatchSource source;
    source.count = (samples + size - 1) / size;
    const DataSet* data = &*data_;
    source.get = [=, &feeder](int64_t i) -> Result<Feeds> {
      int64_t begin = i * size;
      int64_t count = std::min(size, samples - begin);
      FEWBIT_ASSIGN(Batch batch, data->batch(begin, count));
      return feeder.feeds(batch, 0, count);
    };
    return source;
  }

  // One small batch that the passes are verified on: real data, or zeros where there is none.
  Result<Feeds> probe(const Session& session) const {
    if (data_) {
      const int64_t fixed = feeder_->fixed_batch();
      const int64_t count = std::min<int64_t>(data_->size(), fixed > 0 ? fixed : 2);
      FEWBIT_ASSIGN(Batch batch, data_->batch(0, count));
      return feeder_->feeds(batch, 0, count);
    }
    Feeds feeds;
    for (const auto& [name, type] : session.inputs()) {
      if (!type.shape) return unsupported("input '{}' has no shape: give calibration data", name);
      Dims dims;
      for (const Dim& d : *type.shape) dims.push_back(d.known() ? d.value : 1);
      feeds.emplace_back(name, Tensor::zeros(type.elem, dims));
    }
    return feeds;
  }

  Status prepare_graph() {
    PrepareOptions options;
    // Quantizers per channel came with opset 13, 16-bit ones with opset 21.
    const int needed = bits_of(scheme_.activation_type) == 16 ? 21 : 13;
    if (model_.onnx_opset() < needed) options.opset = needed;
    options.fold_batch_norm = recipe_.fold_batch_norm;
    options.equalize =
        recipe_.equalize == "on" ||
        (recipe_.equalize == "auto" && scheme_.weight_granularity == Granularity::kTensor);
    options.equalization.max_scale = static_cast<float>(recipe_.equalize_max_scale);
    options.threads = static_cast<int>(recipe_.threads);
    original_ = model_;
    FEWBIT_ASSIGN(Session session, Session::create(model_, session_options()));
    if (data_) {
      FEWBIT_ASSIGN(feeder_, SampleFeeder::create(session, *data_));
    }
    // Narrower activations are what it is for: without static ones there is nothing to gain.
    options.absorb_bias = needs_data() && recipe_.absorb_bias;
    if (options.absorb_bias) {
      constexpr int64_t kMomentSamples = 64;
      options.calibration = batches(kMomentSamples);
    }
    FEWBIT_ASSIGN(Feeds feeds, probe(session));
    FEWBIT_ASSIGN(report_.passes, prepare(model_, options, feeds));
    return {};
  }

  Status plan() {
    placement_ = place_quantizers(model_.graph, scheme_);
    for (const std::string& name : recipe_.float_layers) {
      bool found = std::any_of(placement_.layers.begin(), placement_.layers.end(),
                               [&](const LayerPlacement& l) { return l.name == name; });
      if (!found) return misuse("recipe key 'layers.float': the model has no layer '{}'", name);
    }
    for (const LayerPlacement& l : placement_.layers) {
      std::string reason = packs_only() ? "" : float_reason(l);
      if (recipe_.strict && !reason.empty()) {
        return unsupported("--strict: {} '{}' stays in float: {}", l.op_type, l.name, reason);
      }
    }
    return {};
  }

  // Why a layer computes in float here; empty if it computes on integers (or if only its weights
  // were to get codes).
  std::string float_reason(const LayerPlacement& layer) const {
    if (!layer.integer) return layer.reason;
    if (bits_of(scheme_.activation_type) == 16) {
      return "its 16-bit codes are for other runtimes: there are no kernels for them here";
    }
    return "";
  }

  // One pass over the data: ranges of the values with a quantizer, means at the layers' inputs, and
  // how much each of a layer's inputs counts.
  Status calibrate() {
    if (!data_) return {};
    auto start = Clock::now();
    Listeners listeners;
    std::optional<ObserverSet> observers;
    if (needs_data()) {
      std::vector<std::string> values;
      for (const auto& [value, source] : placement_.quantized) {
        if (value == source) values.push_back(model_.graph.value(value).name);
      }
      FEWBIT_ASSIGN(observers,
                    ObserverSet::create(values, scheme_.observer, scheme_.observer_options));
      observers->listen(listeners);
    }
    InputMeanListeners means;
    InputSquareListeners squares;
    if (corrects_bias()) {
      const int64_t batch_limit = batches(recipe_.bias_samples).count;
      FEWBIT_TRY(means.listen(model_.graph, placement_, batch_limit, listeners));
    }
    if (scheme_.weight_format && recipe_.weight_importance) {
      FEWBIT_TRY(squares.listen(model_.graph, listeners));
    }
    if (listeners.empty()) return {};
    FEWBIT_ASSIGN(Session session, Session::create(model_, session_options()));
    FEWBIT_TRY(stream(session, batches(0), listeners, "calibrate"));
    if (observers) {
      RangeTarget target{bits_of(scheme_.activation_type), scheme_.activation_symmetric};
      FEWBIT_ASSIGN(ranges_, observers->ranges(target));
    }
    means_ = means.means();
    importance_ = squares.importance();
    report_.seconds_calibrate = seconds_since(start);
    return {};
  }

  bool corrects_bias() const { return needs_data() && recipe_.bias_correction != "none"; }

  // Weights into the format of the scheme. The graph has its activations' quantizers already, if
  // any were asked for.
  Status pack() {
    PackOptions options;
    options.format = *scheme_.weight_format;
    options.search = scheme_.weight_range == "mse";
    options.float_layers = scheme_.float_layers;
    options.importance = importance_;
    options.int8_activations = scheme_.activations == Activations::kDynamic;
    options.static_activations = scheme_.activations == Activations::kStatic;
    FEWBIT_ASSIGN(packed_, pack_weights(quantized_.graph, options));
    quantized_.opsets["ai.fewbit"] = 1;
    for (const PackedLayer& layer : packed_) {
      if (!recipe_.strict || (layer.packed() && layer.note.empty())) continue;
      return unsupported("--strict: {} '{}' stays in float: {}", layer.op_type, layer.name,
                         layer.packed() ? layer.note : layer.reason);
    }
    return {};
  }

  Status quantize() {
    if (packs_only()) {
      quantized_ = model_;
      return pack();
    }
    FEWBIT_ASSIGN(QuantizedGraph quantized,
                  scheme_.activations == Activations::kDynamic
                      ? quantize_dynamic(model_.graph, placement_, scheme_)
                      : quantize_graph(model_.graph, placement_, ranges_, scheme_));
    quantized_ = model_;
    quantized_.graph = std::move(quantized.graph);
    make_node_names_unique(quantized_.graph);
    layers_ = std::move(quantized.layers);
    if (scheme_.weight_format) FEWBIT_TRY(pack());
    return corrects_bias() ? correct_biases() : Status();
  }

  Status correct_biases() {
    std::vector<QuantizedLayer> layers = layers_;
    if (scheme_.weight_format) {
      FEWBIT_ASSIGN(layers, packed_layers(quantized_.graph, model_.graph, packed_));
    }
    const BatchSource source = remembered(batches(recipe_.bias_samples), kRememberedBytes);
    auto corrected = [&](bool empirical) -> Result<Model> {
      Model model = quantized_;
      FEWBIT_TRY(correct_bias(model, layers, means_, empirical ? &source : nullptr,
                              static_cast<int>(recipe_.threads)));
      return model;
    };
    report_.bias_correction = recipe_.bias_correction;
    if (recipe_.bias_correction != "auto") {
      FEWBIT_ASSIGN(quantized_, corrected(recipe_.bias_correction == "empirical"));
      return {};
    }
    // Deep residual networks are better off without the empirical form, MobileNets with it: the
    // outputs on the calibration data decide.
    FEWBIT_ASSIGN(Model analytic, corrected(false));
    FEWBIT_ASSIGN(Model empirical, corrected(true));
    FEWBIT_ASSIGN(std::vector<double> sqnr, calibration_sqnr({analytic, empirical}, source));
    bool better = sqnr[1] > sqnr[0];
    quantized_ = better ? std::move(empirical) : std::move(analytic);
    report_.bias_correction = better ? "empirical" : "analytic";
    return {};
  }

  // SQNR of each candidate's outputs against the float model's, on the kernels that will run.
  Result<std::vector<double>> calibration_sqnr(std::vector<Model> candidates,
                                               const BatchSource& source) const {
    FEWBIT_ASSIGN(Session float_session, Session::create(model_, session_options()));
    std::vector<Session> sessions;
    for (Model& model : candidates) {
      FEWBIT_ASSIGN(Session session, Session::create(std::move(model), session_options()));
      sessions.push_back(std::move(session));
    }
    std::vector<ErrorStats> errors(sessions.size());
    for (int64_t i = 0; i < source.count; ++i) {
      FEWBIT_ASSIGN(Feeds feeds, source.get(i));
      FEWBIT_ASSIGN(std::vector<RuntimeValue> wanted, float_session.run(feeds));
      for (size_t k = 0; k < sessions.size(); ++k) {
        FEWBIT_ASSIGN(std::vector<RuntimeValue> found, sessions[k].run(feeds));
        for (size_t o = 0; o < found.size(); ++o) {
          if (!found[o].is_tensor() || found[o].tensor().type() != DType::kFloat32) continue;
          errors[k].add(wanted[o].tensor().span<float>(), found[o].tensor().span<float>());
        }
      }
    }
    std::vector<double> sqnr;
    for (const ErrorStats& e : errors) sqnr.push_back(e.sqnr_db());
    return sqnr;
  }

  Status verify() {
    FEWBIT_ASSIGN(Session float_session, Session::create(original_, session_options()));
    FEWBIT_ASSIGN(Session session, Session::create(quantized_, session_options()));
    list_layers();
    FEWBIT_TRY(compare_layers());
    if (!recipe_.evaluation_data.empty()) {
      FEWBIT_ASSIGN(DataSet data, DataSet::open(recipe_.evaluation_data));
      return measure(session, float_session, data);
    }
    if (!data_) return {};
    constexpr int64_t kVerifySamples = 32;
    DataSetOverrides overrides;
    overrides.limit = std::min(kVerifySamples, data_->size());
    FEWBIT_ASSIGN(DataSet data, DataSet::open(recipe_.calibration_data, overrides));
    return measure(session, float_session, data);
  }

  Status measure(Session& session, Session& float_session, const DataSet& data) {
    EvaluateOptions options;
    options.progress = "verify";
    FEWBIT_ASSIGN(Evaluation e, evaluate(session, &float_session, data, options));
    report_.output_sqnr_db = e.sqnr_db;
    report_.verify_samples = e.samples;
    auto accuracy = [&](const Accuracy& a) {
      return AccuracyReport{e.samples, true, a.top1, a.top1_low, a.top1_high, a.top5};
    };
    if (e.accuracy) report_.accuracy = accuracy(*e.accuracy);
    if (e.baseline_accuracy) report_.float_accuracy = accuracy(*e.baseline_accuracy);
    if (e.difference) {
      report_.accuracy_drop = -e.difference->points;
      report_.drop_low = -e.difference->high;
      report_.drop_high = -e.difference->low;
      report_.mcnemar_p = e.difference->mcnemar_p;
    }
    return {};
  }

  // Where the error is: each layer's output against the float model's, on the kernels that will
  // run.
  Status compare_layers() {
    if (!data_) return {};
    CompareOptions options;
    options.samples = 16;
    options.threads = static_cast<int>(recipe_.threads);
    options.progress = "verify layers";
    FEWBIT_ASSIGN(Comparison comparison, compare(original_, quantized_, *data_, options));
    for (const LayerComparison& c : comparison.layers) {
      for (LayerReport& layer : report_.layers) {
        if (layer.name != c.name) continue;
        layer.measured = true;
        layer.output_sqnr_db = c.sqnr_db;
        layer.own_sqnr_db = c.own_sqnr_db;
        layer.cosine = c.cosine;
      }
    }
    return {};
  }

  // Of weight-only quantization: the layers with weights.
  void list_packed_layers() {
    for (const PackedLayer& packed : packed_) {
      LayerReport layer;
      layer.name = packed.name;
      layer.op_type = packed.op_type;
      layer.reason = packed.packed() ? packed.note : packed.reason;
      layer.integer = packed.on_codes;
      describe_packed(packed, layer);
      report_.layers.push_back(std::move(layer));
    }
  }

  void describe_packed(const PackedLayer& packed, LayerReport& layer) const {
    layer.packed = packed.packed();
    layer.scheme = layer.packed ? scheme_.name() : "float";
    layer.weight_sqnr_db = packed.sqnr_db;
    layer.float_bytes = packed.float_bytes;
    layer.bytes = packed.bytes;
  }

  void list_layers() {
    if (packs_only()) return list_packed_layers();
    for (const LayerPlacement& placed : placement_.layers) {
      LayerReport layer;
      layer.name = placed.name;
      layer.op_type = placed.op_type;
      layer.reason = float_reason(placed);
      layer.integer = layer.reason.empty();
      if (layer.integer) layer.reason = placed.reason;
      layer.scheme = !placed.integer ? "float" : placed.weighted ? scheme_.name() : "a8";
      for (const PackedLayer& packed : packed_) {
        if (packed.name != placed.name) continue;
        describe_packed(packed, layer);
        if (!layer.integer || packed.on_codes) continue;
        layer.integer = false;
        layer.reason = packed.packed() ? packed.note : packed.reason;
      }
      for (const QuantizedLayer& q : layers_) {
        if (q.name != placed.name) continue;
        layer.weight_sqnr_db = q.weight_sqnr_db;
        layer.float_bytes = q.weight.bytes() + q.bias.bytes();
        layer.bytes =
            q.weight.elements() + q.bias.bytes() + static_cast<int64_t>(q.weight_scale.size()) * 5;
      }
      report_.layers.push_back(std::move(layer));
    }
  }

  Status save(const std::string& output) {
    quantized_.producer_name = "fewbit";
    quantized_.producer_version = version();
    quantized_.metadata["fewbit.version"] = version();
    quantized_.metadata["fewbit.recipe"] = to_toml(recipe_);
    quantized_.metadata["fewbit.seed"] = std::to_string(recipe_.seed);
    if (!report_.data_hash.empty()) quantized_.metadata["fewbit.data_sha256"] = report_.data_hash;
    if (output_kind_ == ModelFileKind::kOnnx && !packed_.empty()) {
      FEWBIT_TRY(export_decode_nodes(quantized_, {recipe_.export_products == "nbits"}));
    }
    FEWBIT_TRY(write_model(quantized_, output));
    report_.output = output;
    report_.bytes = file_bytes(output);
    return {};
  }

  const Recipe& recipe_;
  QuantScheme scheme_;
  Model original_, model_, quantized_;  // as read; prepared; with quantizers
  std::optional<DataSet> data_;
  std::optional<SampleFeeder> feeder_;  // of data_, for the model's inputs
  Placement placement_;
  Ranges ranges_;
  InputMeans means_;
  std::map<std::string, std::vector<float>> importance_;  // of weights, by layer
  std::vector<QuantizedLayer> layers_;
  std::vector<PackedLayer> packed_;
  ModelFileKind output_kind_ = ModelFileKind::kOnnx;
  QuantizeReport report_;
};

}  // namespace

std::string version() {
  return FEWBIT_VERSION;
}

Result<QuantizeReport> quantize_file(const std::string& input, const std::string& output,
                                     const Recipe& recipe) {
  return Run(recipe)(input, output);
}

}  // namespace fewbit
