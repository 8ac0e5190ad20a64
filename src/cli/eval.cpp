// fewbit eval: accuracy on a data set, alone or against a baseline.

#include "base/text.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "eval/evaluate.h"

namespace fewbit::cli {
namespace {

struct EvalOptions {
  std::string model, data, baseline;
  int64_t batch = EvaluateOptions().batch;
  int threads = 0;
  int64_t limit = 0;
  bool json = false;
};

Json json_of(const Accuracy& accuracy) {
  return {{"top1", accuracy.top1},
          {"top5", accuracy.top5},
          {"top1_ci95", Json::array({accuracy.top1_low, accuracy.top1_high})}};
}

Json json_of(const EvalOptions& options, const Evaluation& found) {
  Json json = {{"model", options.model}, {"data", options.data}, {"samples", found.samples}};
  if (found.accuracy) json.update(json_of(*found.accuracy));
  json.set("classes", found.classes);
  json.set("non_finite_samples", found.non_finite_samples);
  if (found.compared) {
    json.set("sqnr_db", found.sqnr_db);
    json.set("same_top1", found.same_top1);
    Json baseline = {{"model", options.baseline}};
    if (found.baseline_accuracy) baseline.update(json_of(*found.baseline_accuracy));
    json.set("baseline", baseline);
  }
  if (found.difference) {
    const AccuracyDifference& d = *found.difference;
    json.set("difference", {{"points", d.points},
                            {"ci95", Json::array({d.low, d.high})},
                            {"mcnemar_p", d.mcnemar_p},
                            {"only_model_right", d.only_model_right},
                            {"only_baseline_right", d.only_baseline_right}});
  }
  json.set("seconds", found.seconds);
  return json;
}

std::string accuracy_line(const std::string& model, const Accuracy& a) {
  return fmt::format("{}\n  top-1 {:.2f} %  [95 %: {:.2f}, {:.2f}]   top-5 {:.2f} %\n", model,
                     a.top1, a.top1_low, a.top1_high, a.top5);
}

std::string text_of(const EvalOptions& options, const Evaluation& found) {
  std::string text;
  if (found.accuracy) text += accuracy_line(options.model, *found.accuracy);
  if (found.baseline_accuracy) text += accuracy_line(options.baseline, *found.baseline_accuracy);
  if (found.difference) {
    const AccuracyDifference& d = *found.difference;
    text += fmt::format(
        "difference\n  {:+.2f} points  [95 %: {:+.2f}, {:+.2f}]   McNemar's p {:.3g} ({} samples "
        "only "
        "right here, {} only in the baseline)\n",
        d.points, d.low, d.high, d.mcnemar_p, d.only_model_right, d.only_baseline_right);
  }
  if (found.compared) {
    text += fmt::format("logits\n  SQNR {}   same class {:.2f} %\n", decibels(found.sqnr_db),
                        found.same_top1);
  }
  if (found.non_finite_samples > 0) {
    text += fmt::format("{} samples gave NaN or infinity\n", found.non_finite_samples);
  }
  return text + fmt::format("{} samples in {}\n", found.samples, human_seconds(found.seconds));
}

Status eval_model(const EvalOptions& options) {
  DataSetOverrides overrides;
  if (options.limit > 0) overrides.limit = options.limit;
  FEWBIT_ASSIGN(const DataSet data, DataSet::open(options.data, overrides));
  FEWBIT_ASSIGN(Session model, open_session(options.model, options.threads));
  std::optional<Session> baseline;
  if (!options.baseline.empty()) {
    FEWBIT_ASSIGN(baseline, open_session(options.baseline, options.threads));
  }
  EvaluateOptions evaluation;
  evaluation.batch = options.batch;
  FEWBIT_ASSIGN(const Evaluation found,
                evaluate(model, baseline ? &*baseline : nullptr, data, evaluation));
  return options.json ? print_json(json_of(options, found)) : print_text(text_of(options, found));
}

}  // namespace

Run add_eval(Arguments& arguments) {
  auto options = std::make_shared<EvalOptions>();
  arguments
      .option("model", options->model, "Model (.onnx, .fewbit); its first output holds the logits")
      .required()
      .type_name("MODEL");
  arguments.option("-d,--data", options->data, "Data-set file (docs/data-sets.md)")
      .required()
      .type_name("SET.toml");
  arguments
      .option("-b,--baseline", options->baseline,
              "Model to compare with, usually the float one: paired difference of the accuracies "
              "with its 95 % interval and McNemar's test, SQNR of the logits (also without "
              "labels)")
      .type_name("MODEL");
  add_batch(arguments, options->batch);
  add_threads(arguments, options->threads);
  arguments.option("--limit", options->limit, "At most so many samples (default: the data set's)")
      .range(1, int64_t{1} << 62)
      .type_name("N");
  arguments.flag("--json", options->json, "Print the result as one JSON object");
  return [options] { return eval_model(*options); };
}

}  // namespace fewbit::cli
