#include "runtime/ops/rnn_activation.h"

#include <cctype>
#include <optional>

#include "runtime/ops/op_support.h"

namespace fewbit::ops {
namespace {

// One row per function: its parameters' defaults (absent: it has none) and the function.
struct ActivationRow {
  std::string_view name;
  std::optional<double> alpha, beta;
  double (*function)(double x, double alpha, double beta);
};

const ActivationRow kActivations[] = {
    {"relu", {}, {}, [](double x, double, double) { return x > 0 ? x : 0.0; }},
    {"tanh", {}, {}, [](double x, double, double) { return std::tanh(x); }},
    {"sigmoid", {}, {}, [](double x, double, double) { return 1 / (1 + std::exp(-x)); }},
    {"softsign", {}, {}, [](double x, double, double) { return x / (1 + std::fabs(x)); }},
    {"softplus",
     {},
     {},
     [](double x, double, double) {
       return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x)));
     }},
    {"affine", 1.0, 0.0, [](double x, double a, double b) { return a * x + b; }},
    {"leakyrelu", 0.01, {}, [](double x, double a, double) { return x >= 0 ? x : a * x; }},
    {"thresholdedrelu", 1.0, {}, [](double x, double a, double) { return x > a ? x : 0.0; }},
    {"scaledtanh", 1.0, 1.0, [](double x, double a, double b) { return a * std::tanh(b * x); }},
    {"hardsigmoid", 0.2, 0.5,
     [](double x, double a, double b) { return std::clamp(a * x + b, 0.0, 1.0); }},
    {"elu", 1.0, {}, [](double x, double a, double) { return x >= 0 ? x : a * std::expm1(x); }},
};

Result<const ActivationRow*> find_activation(const Node& node, std::string name) {
  const std::string given = name;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  for (const ActivationRow& row : kActivations) {
    if (row.name == name) return &row;
  }
  return node_error(node, "activation '{}' is not known", given);
}

}  // namespace

Result<std::vector<RnnActivation>> read_rnn_activations(const Node& node, size_t directions,
                                                        const std::vector<std::string>& defaults) {
  std::vector<std::string> names;
  if (const auto* given = node.get<std::vector<std::string>>("activations")) names = *given;
  if (names.empty()) {
    for (size_t d = 0; d < directions; ++d) {
      names.insert(names.end(), defaults.begin(), defaults.end());
    }
  }
  if (names.size() != directions * defaults.size()) {
    return node_error(node, "{} activations, {} are needed", names.size(),
                      directions * defaults.size());
  }
  const std::vector<float> alphas = node.get_floats("activation_alpha");
  const std::vector<float> betas = node.get_floats("activation_beta");
  size_t next_alpha = 0, next_beta = 0;
  std::vector<RnnActivation> result;
  for (const std::string& name : names) {
    FEWBIT_ASSIGN(const ActivationRow* row, find_activation(node, name));
    RnnActivation a{row->function, row->alpha.value_or(0), row->beta.value_or(0),
                    node.get_float("clip", 0.0F)};
    if (row->alpha && next_alpha < alphas.size()) a.alpha = alphas[next_alpha++];
    if (row->beta && next_beta < betas.size()) a.beta = betas[next_beta++];
    result.push_back(a);
  }
  return result;
}

}  // namespace fewbit::ops
