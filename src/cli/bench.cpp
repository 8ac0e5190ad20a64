// fewbit bench: latency, memory, time per layer, and a rival beside it.

#include <algorithm>
#include <cmath>

#include "base/memory_use.h"
#include "base/random.h"
#include "base/text.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "data/npy.h"
#include "eval/latency.h"
#include "eval/machine_limits.h"
#include "numerics/convert.h"
#include "report/table.h"

namespace fewbit::cli {
namespace {

struct BenchOptions {
  std::string model, against;
  std::vector<std::string> inputs;
  int64_t batch = 1;
  int threads = 0;
  double seconds = 3;
  uint64_t seed = 0;
  bool profile = false;
  bool json = false;
};

constexpr double kProfileSeconds = 2;
constexpr int kMinProfileRuns = 5;

struct LayerTime {
  StepProfile step;
  std::string name;
  double seconds = 0;   ///< of one run, the median
  double share = 0;     ///< of the run
  double gops = 0;      ///< 10^9 operations per second, two per multiply-accumulate
  double limit = 0;     ///< fraction of what the machine's peak allows; 0: not known
  bool memory = false;  ///< it is the reading of weights that limits it
};

struct BenchResult {
  std::vector<double> seconds;
  int64_t peak_rss = 0;
  std::vector<LayerTime> layers;
  std::optional<PairedLatencies> paired;
};

// Reals: normal; integers and flags: 1, a valid index of nearly everything (token, class, mask).
Result<Tensor> made_up(const std::string& name, DType type, const Dims& dims, Random& random) {
  FEWBIT_TRY(checked_elements(dims, type));
  if (!can_cast(type) || type == DType::kString) {
    return unsupported("input '{}' is {}: give it with --input {}=FILE.npy", name, name_of(type),
                       name);
  }
  Tensor reals = Tensor::uninitialized(DType::kFloat32, dims);
  if (is_float(type)) {
    random.fill_normal(reals.span<float>(), 0, 1);
  } else {
    std::fill_n(reals.data<float>(), reals.elements(), 1.0F);
  }
  return cast(reals, type);
}

Result<Feeds> make_feeds(const Session& session, const BenchOptions& options,
                         const std::vector<InputSpec>& specs) {
  Feeds feeds;
  Random random(options.seed);
  for (const auto& [name, type] : session.inputs()) {
    const std::string& input = name;
    auto spec = std::find_if(specs.begin(), specs.end(),
                             [&](const InputSpec& s) { return s.name == input; });
    if (spec != specs.end() && !spec->file.empty()) {
      FEWBIT_ASSIGN(Tensor tensor, read_npy(spec->file));
      feeds.emplace_back(name, std::move(tensor));
      continue;
    }
    auto dims = spec != specs.end() ? spec->dims : default_dims(type, options.batch);
    if (!dims || type.elem == DType::kUndefined) {
      return misuse("input '{}' is {}: give its shape with --input {}=1,3,224,224", name,
                    type.to_string(), name);
    }
    FEWBIT_ASSIGN(Tensor tensor, made_up(name, type.elem, *dims, random));
    feeds.emplace_back(name, std::move(tensor));
  }
  return feeds;
}

// A batch that no input can take would be passed over in silence.
Status check_batch(const Session& session, int64_t batch) {
  if (batch == 1) return {};
  std::string fixed;
  for (const auto& [name, type] : session.inputs()) {
    if (!type.shape || type.shape->empty() || !type.shape->front().known() ||
        type.shape->front().value == batch) {
      return {};
    }
    fixed += fmt::format("{}'{}' is {}", fixed.empty() ? "" : ", ", name, type.to_string());
  }
  return misuse("--batch {}: the model's batch is fixed: {}", batch, fixed);
}

std::function<Status()> runner(Session& session, const Feeds& feeds) {
  return [&session, &feeds]() -> Status {
    FEWBIT_TRY(session.run(feeds));
    return {};
  };
}

bool computes_int8(const StepProfile& step) {
  return step.kernel.rfind("int8", 0) == 0 || step.op.rfind("QLinear", 0) == 0 ||
         step.op == "QGemm" || step.op.rfind("MatMulInteger", 0) == 0 || step.op == "ConvInteger";
}

// "Conv node 'conv1'" -> "conv1": the operator has a column of its own.
std::string layer_name(const StepProfile& step) {
  const size_t open = step.label.find('\'');
  const bool named = open != std::string::npos && step.label.back() == '\'' &&
                     open + 1 < step.label.size() && step.label.find(" node ") < open;
  return named ? step.label.substr(open + 1, step.label.size() - open - 2) : step.label;
}

// No peak of bfloat16 products is measured.
bool has_peak(const StepProfile& step) {
  return step.macs > 0 && step.kernel.find("bf16") == std::string::npos;
}

// What the layer's products, or the reading of its weights, would take at the machine's peak.
void put_in_proportion(LayerTime& layer, const MachineLimits& limits, double bandwidth) {
  if (layer.step.macs <= 0 || layer.seconds <= 0) return;
  const auto macs = static_cast<double>(layer.step.macs);
  const MachinePeak& peak = computes_int8(layer.step) ? limits.int8 : limits.float32;
  const double arithmetic_s = macs / peak.macs_per_second;
  const double memory_s = static_cast<double>(layer.step.weight_bytes) / bandwidth;
  layer.gops = 2 * macs / layer.seconds * 1e-9;
  if (!has_peak(layer.step)) return;
  layer.limit = std::max(arithmetic_s, memory_s) / layer.seconds;
  layer.memory = memory_s > arithmetic_s;
}

// The median over runs, layer by layer: one disturbed run does not tell.
Result<std::vector<LayerTime>> profile_layers(Session& session, const Feeds& feeds, int threads,
                                              double seconds) {
  FEWBIT_TRY(session.run(feeds));
  std::vector<std::vector<double>> times;
  std::vector<StepProfile> steps;
  double spent = 0;
  for (int runs = 0; runs < kMinProfileRuns || spent < std::min(seconds, kProfileSeconds); ++runs) {
    session.set_profiling(true);  // starts from zero
    FEWBIT_TRY(session.run(feeds));
    steps = session.profile();
    times.resize(steps.size());
    for (size_t i = 0; i < steps.size(); ++i) {
      times[i].push_back(steps[i].seconds);
      spent += steps[i].seconds;
    }
  }
  session.set_profiling(false);
  const MachineLimits& limits = machine_limits(threads);
  const double bandwidth = read_bandwidth(threads, session.constant_bytes());
  std::vector<LayerTime> layers;
  double total = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    LayerTime layer;
    layer.step = steps[i];
    layer.name = layer_name(steps[i]);
    layer.seconds = quantile(times[i], 0.5);
    total += layer.seconds;
    put_in_proportion(layer, limits, bandwidth);
    layers.push_back(std::move(layer));
  }
  for (LayerTime& layer : layers) layer.share = total > 0 ? layer.seconds / total : 0;
  return layers;
}

Result<BenchResult> measure_all(Session& session, const Feeds& feeds, const BenchOptions& options,
                                const std::vector<InputSpec>& specs) {
  BenchResult result;
  LatencyOptions latency;
  latency.seconds = options.seconds;
  if (options.against.empty()) {
    FEWBIT_ASSIGN(result.seconds, measure(runner(session, feeds), latency));
    result.peak_rss = peak_rss_bytes();
  } else {
    // The peak of this model alone: before the other one is there.
    for (int i = 0; i < 2; ++i) FEWBIT_TRY(session.run(feeds));
    result.peak_rss = peak_rss_bytes();
    FEWBIT_ASSIGN(Session other, open_session(options.against, options.threads));
    std::vector<InputSpec> shared;
    for (const InputSpec& spec : specs) {
      for (const auto& [name, type] : other.inputs()) {
        if (name == spec.name) shared.push_back(spec);
      }
    }
    FEWBIT_ASSIGN(const Feeds other_feeds, make_feeds(other, options, shared));
    FEWBIT_ASSIGN(result.paired,
                  measure_pair(runner(session, feeds), runner(other, other_feeds), latency));
    result.seconds = result.paired->first;
  }
  if (options.profile) {
    FEWBIT_ASSIGN(result.layers, profile_layers(session, feeds, options.threads, options.seconds));
  }
  return result;
}

Json latency_json(const std::vector<double>& seconds) {
  return {{"p10", quantile(seconds, 0.1) * 1e3},
          {"p50", quantile(seconds, 0.5) * 1e3},
          {"p90", quantile(seconds, 0.9) * 1e3}};
}

Json json_of(const BenchOptions& options, const Feeds& feeds, const BenchResult& result) {
  Json inputs = Json::object();
  for (const auto& [name, value] : feeds) inputs.set(name, value.tensor().dims());
  Json json = {{"model", options.model},           {"threads", options.threads},
               {"batch", options.batch},           {"inputs", inputs},
               {"runs", result.seconds.size()},    {"latency_ms", latency_json(result.seconds)},
               {"peak_rss_bytes", result.peak_rss}};
  if (options.profile) {
    const MachineLimits& limits = machine_limits(options.threads);
    json.set("machine", {{"int8_gops", 2e-9 * limits.int8.macs_per_second},
                         {"int8_instruction", limits.int8.instruction},
                         {"float32_gflops", 2e-9 * limits.float32.macs_per_second},
                         {"float32_instruction", limits.float32.instruction}});
    Json layers = Json::array();
    for (const LayerTime& layer : result.layers) {
      layers.push_back({{"name", layer.name},
                        {"op", layer.step.op},
                        {"kernel", layer.step.kernel},
                        {"ms", layer.seconds * 1e3},
                        {"share", layer.share},
                        {"macs", layer.step.macs},
                        {"gops", layer.gops},
                        {"peak_fraction", has_peak(layer.step) ? Json(layer.limit) : Json()},
                        {"limited_by", !has_peak(layer.step) ? Json()
                                       : layer.memory        ? Json("memory")
                                                             : Json("arithmetic")}});
    }
    json.set("layers", layers);
  }
  if (result.paired) {
    const MedianInterval& ratio = result.paired->ratio;
    json.set("against", {{"model", options.against},
                         {"latency_ms", latency_json(result.paired->second)},
                         {"ratio", ratio.median},
                         {"ci95", Json::array({ratio.low, ratio.high})}});
  }
  return json;
}

std::string latency_line(const std::string& model, const std::vector<double>& seconds) {
  return fmt::format("{}\n  latency  p50 {}   p10 {}   p90 {}   ({} runs)\n", model,
                     human_seconds(quantile(seconds, 0.5)), human_seconds(quantile(seconds, 0.1)),
                     human_seconds(quantile(seconds, 0.9)), seconds.size());
}

std::string layer_table(const BenchOptions& options, const std::vector<LayerTime>& layers) {
  std::vector<LayerTime> sorted = layers;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const LayerTime& a, const LayerTime& b) { return a.seconds > b.seconds; });
  Table table({"layer", "operator", "kernel", ">time", ">share", ">GOP/s", ">of peak"});
  for (const LayerTime& layer : sorted) {
    const bool products = layer.step.macs > 0;
    table.row({layer.name, layer.step.op, layer.step.kernel, human_seconds(layer.seconds),
               fmt::format("{:.1f} %", 100 * layer.share),
               products ? fmt::format("{:.1f}", layer.gops) : "",
               has_peak(layer.step)
                   ? fmt::format("{:.0f} %{}", 100 * layer.limit, layer.memory ? " m" : "")
                   : ""});
  }
  const MachineLimits& limits = machine_limits(options.threads);
  return "\n" + table.print(terminal_columns()) +
         fmt::format(
             "\npeak of {} thread{}, measured: {:.0f} GOP/s on 8 bits ({}), {:.0f} GFLOP/s "
             "({}); m: limited by reading the weights\n",
             options.threads, options.threads == 1 ? "" : "s", 2e-9 * limits.int8.macs_per_second,
             limits.int8.instruction, 2e-9 * limits.float32.macs_per_second,
             limits.float32.instruction);
}

std::string text_of(const BenchOptions& options, const BenchResult& result) {
  std::string text = latency_line(options.model, result.seconds);
  text += fmt::format("  threads  {}   batch {}   peak memory {}\n", options.threads, options.batch,
                      human_bytes(result.peak_rss));
  if (result.paired) {
    const MedianInterval& ratio = result.paired->ratio;
    text += latency_line(options.against, result.paired->second);
    text += fmt::format("{} takes {:.3f} times as long  [95 %: {:.3f}, {:.3f}]\n", options.against,
                        ratio.median, ratio.low, ratio.high);
  }
  if (options.profile) text += layer_table(options, result.layers);
  return text;
}

Status bench_model(BenchOptions options) {
  if (options.threads <= 0) options.threads = num_threads();
  FEWBIT_ASSIGN(Session session, open_session(options.model, options.threads));
  FEWBIT_ASSIGN(const auto specs, parse_inputs(options.inputs, session.inputs()));
  FEWBIT_TRY(check_batch(session, options.batch));
  FEWBIT_ASSIGN(const Feeds feeds, make_feeds(session, options, specs));
  FEWBIT_ASSIGN(const BenchResult result, measure_all(session, feeds, options, specs));
  return options.json ? print_json(json_of(options, feeds, result))
                      : print_text(text_of(options, result));
}

}  // namespace

Run add_bench(Arguments& arguments) {
  auto options = std::make_shared<BenchOptions>();
  arguments.option("model", options->model, kModelHelp).required().type_name("MODEL");
  arguments
      .option("-i,--input", options->inputs,
              "Shape of an input (random values), or its values; once per input. Without it "
              "dimensions that the model leaves open are --batch (the first) and 1")
      .type_name("NAME=1,3,224,224|FILE.npy")
      .one_value();
  add_batch(arguments, options->batch);
  add_threads(arguments, options->threads);
  arguments.option("--seconds", options->seconds, "How long to measure")
      .real_range(0.0, 86400.0)
      .show_default()
      .type_name("S");
  arguments.option("--seed", options->seed, "Of the random inputs").show_default().type_name("N");
  arguments.flag("--profile", options->profile,
                 "Show time, kernel and fraction of the machine's measured peak of every layer");
  arguments
      .option("--against", options->against,
              "A second model, run in turn with the first; shows the median of (time of OTHER / "
              "time of MODEL) with its 95 % interval: above 1, MODEL is the faster one")
      .type_name("OTHER");
  arguments.flag("--json", options->json, "Print the result as one JSON object");
  return [options] { return bench_model(*options); };
}

}  // namespace fewbit::cli
