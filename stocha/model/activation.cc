#include "stocha/model/activation.h"

#include <fmt/format.h>

#include <charconv>

#include "stocha/base/error.h"

namespace stocha {
namespace {

bool DrawsOrAverages(ActivationKind kind) {
  return kind == ActivationKind::kStochastic || kind == ActivationKind::kExpected;
}

// Cuts the part of `text` before `separator` off and returns it.
std::string_view TakeUntil(std::string_view* text, char separator) {
  const size_t end = std::min(text->find(separator), text->size());
  const std::string_view part = text->substr(0, end);
  text->remove_prefix(std::min(end + 1, text->size()));
  return part;
}

[[noreturn]] void ThrowUnknown(std::string_view text, std::string_view where) {
  throw Error({.where = std::string(where),
               .what = "not an activation",
               .got = "\"" + std::string(text) + "\"",
               .expected = "relu, silu, relu2, stocha:P or expected:P with P from 0 to 1, e.g. "
                           "stocha:0.7 or stocha:0.7,smooth,token"});
}

}  // namespace

Activation StochasticActivation(double p) {
  return {.kind = ActivationKind::kStochastic,
          .p_65536 = static_cast<uint32_t>(std::lround(p * 65536))};
}

Activation ParseActivation(std::string_view text, std::string_view where) {
  std::string_view rest = text;
  const std::string_view head = TakeUntil(&rest, ',');
  if (head == "relu" && head == text) return {.kind = ActivationKind::kRelu};
  if (head == "silu" && head == text) return {.kind = ActivationKind::kSilu};
  if (head == "relu2" && head == text) return {.kind = ActivationKind::kReluSquared};

  std::string_view value = head;
  const std::string_view name = TakeUntil(&value, ':');
  if (name != "stocha" && name != "expected") ThrowUnknown(text, where);
  double p = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), p);
  if (error != std::errc() || end != value.data() + value.size() || !(p >= 0 && p <= 1)) {
    ThrowUnknown(text, where);
  }
  Activation activation = StochasticActivation(p);
  if (name == "expected") activation.kind = ActivationKind::kExpected;
  if (head.size() == text.size()) return activation;
  do {
    const std::string_view option = TakeUntil(&rest, ',');
    if (option == "smooth") {
      activation.smooth_positive = true;
    } else if (option == "token" && name == "stocha") {
      activation.granularity = CoinGranularity::kToken;
    } else if (option == "layer" && name == "stocha") {
      activation.granularity = CoinGranularity::kLayer;
    } else {
      ThrowUnknown(text, where);
    }
  } while (!rest.empty());
  return activation;
}

std::string ToString(const Activation& activation) {
  if (activation.kind == ActivationKind::kRelu) return "relu";
  if (activation.kind == ActivationKind::kSilu) return "silu";
  if (activation.kind == ActivationKind::kReluSquared) return "relu2";
  // The fewest digits whose nearest 1/65536 is p.
  std::string p;
  for (int digits = 1; digits <= 17; ++digits) {
    p = fmt::format("{:.{}g}", activation.p(), digits);
    if (std::lround(std::stod(p) * 65536) == static_cast<long>(activation.p_65536)) break;
  }
  std::string text = activation.kind == ActivationKind::kStochastic ? "stocha:" : "expected:";
  text += p;
  if (activation.smooth_positive) text += ",smooth";
  if (activation.granularity == CoinGranularity::kToken) text += ",token";
  if (activation.granularity == CoinGranularity::kLayer) text += ",layer";
  return text;
}

double Activate(const Activation& activation, double x, bool coin) {
  if (activation.kind == ActivationKind::kSilu) return Silu(x);
  const bool draws = DrawsOrAverages(activation.kind);
  if (!(x < 0)) {  // NaN comes here too, and stays NaN
    if (activation.kind == ActivationKind::kReluSquared) return x * x;
    return draws && activation.smooth_positive ? Silu(x) : x;
  }
  if (!draws) return 0;
  if (activation.kind == ActivationKind::kExpected) return activation.p() * Silu(x);
  return coin ? Silu(x) : 0;
}

double ActivateGrad(const Activation& activation, double x, bool coin) {
  if (activation.kind == ActivationKind::kSilu) return SiluGrad(x);
  const bool draws = DrawsOrAverages(activation.kind);
  if (!(x < 0)) {
    if (activation.kind == ActivationKind::kReluSquared) return 2 * x;
    if (draws && activation.smooth_positive) return SiluGrad(x);
    return x == 0 ? 0 : 1;
  }
  if (!draws) return 0;
  if (activation.kind == ActivationKind::kExpected) return activation.p() * SiluGrad(x);
  return coin ? SiluGrad(x) : 0;
}

}  // namespace stocha
