#include "kernels/pointwise/unary/unary_reference.h"

#include <cmath>
#include <numbers>

namespace fewbit::pointwise {

namespace {

double sigmoid(double x) {
  return 1.0 / (1.0 + std::exp(-x));
}
double softplus(double x) {
  return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
}

using Function = double (*)(double x, double a, double b);

// In the order of UnaryOp.
constexpr Function kFunctions[] = {
    [](double x, double, double) { return x; },
    [](double x, double, double) { return x > 0 ? x : (x != x ? x : 0); },
    [](double x, double a, double b) { return x < a ? a : (x > b ? b : x); },
    [](double x, double a, double) { return x >= 0 ? x : a * x; },
    [](double x, double a, double) { return x >= 0 ? x : a * std::expm1(x); },
    [](double x, double a, double b) { return b * (x > 0 ? x : a * std::expm1(x)); },
    [](double x, double a, double) { return x >= 0 ? x : a * std::expm1(x / a); },
    [](double x, double a, double) { return x > a ? x : 0; },
    [](double x, double, double) { return sigmoid(x); },
    [](double x, double a, double b) { return std::fmin(std::fmax(a * x + b, 0), 1); },
    [](double x, double, double) { return x * std::fmin(std::fmax(x / 6 + 0.5, 0), 1); },
    [](double x, double a, double) { return x * sigmoid(a * x); },
    [](double x, double, double) { return x * std::tanh(softplus(x)); },
    [](double x, double, double) { return 0.5 * x * std::erfc(-x / std::numbers::sqrt2); },
    [](double x, double, double) {
      return x * sigmoid(2 * std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x));
    },
    [](double x, double, double) { return softplus(x); },
    [](double x, double, double) { return x / (1 + std::fabs(x)); },
    [](double x, double, double) { return std::tanh(x); },
    [](double x, double, double) { return std::erf(x); },
    [](double x, double, double) { return std::exp(x); },
    [](double x, double, double) { return std::log(x); },
    [](double x, double, double) { return std::sqrt(x); },
    [](double x, double, double) { return 1 / x; },
    [](double x, double, double) { return std::fabs(x); },
    [](double x, double, double) { return -x; },
    [](double x, double, double) { return x * x; },
    [](double x, double, double) { return std::floor(x); },
    [](double x, double, double) { return std::ceil(x); },
    [](double x, double, double) { return std::nearbyint(x); },
    [](double x, double, double) { return x > 0 ? 1.0 : (x < 0 ? -1.0 : x); },
};
static_assert(std::size(kFunctions) == kUnaryOpCount);

}  // namespace

double evaluate(const Unary& f, double x) {
  return kFunctions[static_cast<size_t>(f.op)](x, f.alpha, f.beta);
}

}  // namespace fewbit::pointwise
