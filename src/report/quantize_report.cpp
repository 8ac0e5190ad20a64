#include "report/quantize_report.h"

#include <algorithm>
#include <cmath>

#include "base/text.h"
#include "report/json.h"
#include "report/table.h"

namespace fewbit {
namespace {

std::string decibels(double db) {
  if (std::isnan(db)) return "";
  return std::isfinite(db) ? fmt::format("{:.1f}", db) : "exact";
}

Json json_of(const AccuracyReport& a) {
  return {{"samples", a.samples},
          {"top1", a.top1},
          {"top5", a.top5},
          {"top1_ci95", Json::array({a.top1_low, a.top1_high})}};
}

Json json_of(const LayerReport& l) {
  Json j = {{"name", l.name},
            {"op", l.op_type},
            {"scheme", l.scheme},
            {"integer", l.integer},
            {"packed", l.packed},
            {"reason", l.reason},
            {"float_bytes", l.float_bytes},
            {"bytes", l.bytes}};
  if (l.bytes > 0) j.set("weight_sqnr_db", l.weight_sqnr_db);
  if (l.measured) {
    j.set("output_sqnr_db", l.output_sqnr_db);
    j.set("own_sqnr_db", l.own_sqnr_db);
    j.set("cosine", l.cosine);
  }
  return j;
}

std::string accuracy_line(const char* name, const AccuracyReport& a) {
  return fmt::format("{:<11} top-1 {:6.2f} %  [{:.2f}, {:.2f}]   top-5 {:6.2f} %   {} samples\n",
                     name, a.top1, a.top1_low, a.top1_high, a.top5, a.samples);
}

std::string summary_line(const QuantizeReport& r) {
  std::string line = r.scheme + ": ";
  if (r.packed_layers() > 0) {
    const int64_t decoded =
        std::count_if(r.layers.begin(), r.layers.end(),
                      [](const LayerReport& l) { return l.packed && !l.integer; });
    line += fmt::format("weights of {} layers in {:.3f} bits each, ", r.packed_layers(),
                        r.packed_bits_per_weight());
    if (decoded > 0) line += fmt::format("{} decoded to float32 when loaded; ", decoded);
  }
  if (!r.weight_only) line += fmt::format("{} layers on integers, ", r.integer_layers());
  line += fmt::format("{} in float", r.fallbacks());
  if (r.verify_samples > 0) {
    line +=
        fmt::format("; outputs {} dB on {} samples", decibels(r.output_sqnr_db), r.verify_samples);
  }
  return line + "\n";
}

}  // namespace

int64_t QuantizeReport::integer_layers() const {
  return std::count_if(layers.begin(), layers.end(),
                       [](const LayerReport& l) { return l.integer; });
}

int64_t QuantizeReport::packed_layers() const {
  return std::count_if(layers.begin(), layers.end(), [](const LayerReport& l) { return l.packed; });
}

int64_t QuantizeReport::fallbacks() const {
  return static_cast<int64_t>(layers.size()) - (weight_only ? packed_layers() : integer_layers());
}

double QuantizeReport::packed_bits_per_weight() const {
  int64_t bytes_packed = 0, elements = 0;
  for (const LayerReport& l : layers) {
    if (!l.packed) continue;
    bytes_packed += l.bytes;
    elements += l.float_bytes / 4;
  }
  return elements > 0 ? 8.0 * static_cast<double>(bytes_packed) / static_cast<double>(elements) : 0;
}

std::string to_json(const QuantizeReport& r) {
  Json j = {{"input", r.input},
            {"output", r.output},
            {"scheme", r.scheme},
            {"target", r.target},
            {"version", r.version},
            {"seed", r.seed},
            {"data_sha256", r.data_hash},
            {"calibration_samples", r.calibration_samples},
            {"bias_correction", r.bias_correction},
            {"float_bytes", r.float_bytes},
            {"bytes", r.bytes},
            {"output_sqnr_db", r.output_sqnr_db},
            {"verify_samples", r.verify_samples},
            {"integer_layers", r.integer_layers()},
            {"packed_layers", r.packed_layers()},
            {"packed_bits_per_weight", r.packed_bits_per_weight()},
            {"fallbacks", r.fallbacks()},
            {"seconds_calibrate", r.seconds_calibrate},
            {"seconds_total", r.seconds_total},
            {"peak_rss_bytes", r.peak_rss_bytes}};
  if (r.float_accuracy) j.set("float_accuracy", json_of(*r.float_accuracy));
  if (r.accuracy) {
    j.set("accuracy", json_of(*r.accuracy));
    j.set("accuracy_drop", {{"points", r.accuracy_drop},
                            {"ci95", Json::array({r.drop_low, r.drop_high})},
                            {"mcnemar_p", r.mcnemar_p}});
  }
  Json passes = Json::array();
  for (const PassReport& p : r.passes) {
    passes.push_back({{"name", p.name},
                      {"changed", p.changed},
                      {"seconds", p.seconds},
                      {"exact", p.exact},
                      {"output_error", p.output_error},
                      {"notes", p.notes}});
  }
  j.set("passes", passes);
  Json layers = Json::array();
  for (const LayerReport& l : r.layers) layers.push_back(json_of(l));
  j.set("layers", layers);
  return j.print();
}

std::string to_table(const QuantizeReport& r, int columns) {
  std::string out;
  Table passes({"prepare", ">places", ">ms", ">output change"});
  for (const PassReport& p : r.passes) {
    passes.row({p.exact ? p.name : p.name + " (not exact)", std::to_string(p.changed),
                fmt::format("{:.1f}", p.seconds * 1e3), fmt::format("{:.1e}", p.output_error)});
  }
  out += passes.print(columns) + "\n";

  std::vector<LayerReport> layers;
  for (const LayerReport& l : r.layers) {
    if (l.measured) layers.push_back(l);
  }
  auto badness = [](const LayerReport& l) {
    return std::isnan(l.own_sqnr_db) ? l.output_sqnr_db : l.own_sqnr_db;
  };
  std::stable_sort(layers.begin(), layers.end(), [&](const LayerReport& a, const LayerReport& b) {
    return badness(a) < badness(b);
  });
  constexpr size_t kShown = 12;
  if (!layers.empty()) {
    Table table({"layer, worst first", "op", "scheme", ">weight dB", ">output dB", ">born here dB",
                 ">bytes"});
    for (size_t i = 0; i < std::min(layers.size(), kShown); ++i) {
      const LayerReport& l = layers[i];
      table.row({l.name, l.op_type, l.scheme,
                 l.weight_sqnr_db > 0 ? decibels(l.weight_sqnr_db) : "", decibels(l.output_sqnr_db),
                 decibels(l.own_sqnr_db), l.bytes > 0 ? human_bytes(l.bytes) : ""});
    }
    out += table.print(columns);
    if (layers.size() > kShown) {
      out += fmt::format("... {} more (--json lists all)\n", layers.size() - kShown);
    }
    out += "\n";
  }
  if (r.fallbacks() > 0) {
    Table table({"stays in float", "op", "why"});
    for (const LayerReport& l : r.layers) {
      if (!(r.weight_only ? l.packed : l.integer)) table.row({l.name, l.op_type, l.reason});
    }
    out += table.print(columns) + "\n";
  }
  out += summary_line(r);
  if (r.float_accuracy) out += accuracy_line("float", *r.float_accuracy);
  if (r.accuracy) {
    out += accuracy_line("quantized", *r.accuracy);
    out += fmt::format("change      {:+.2f} points [{:+.2f}, {:+.2f}], McNemar p = {:.3f}\n",
                       -r.accuracy_drop, -r.drop_high, -r.drop_low, r.mcnemar_p);
  }
  out += fmt::format(
      "{} -> {} ({:.2f}x smaller), {} calibration samples, {} in all, peak memory {}\n",
      human_bytes(r.float_bytes), human_bytes(r.bytes),
      r.bytes > 0 ? static_cast<double>(r.float_bytes) / static_cast<double>(r.bytes) : 0.0,
      r.calibration_samples, human_seconds(r.seconds_total), human_bytes(r.peak_rss_bytes));
  out += fmt::format("written: {}\n", r.output);
  return out;
}

}  // namespace fewbit
