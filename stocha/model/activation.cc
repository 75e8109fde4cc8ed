#include "stocha/model/activation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <vector>

#include "stocha/base/error.h"

namespace stocha {
namespace {

bool DrawsOrAverages(ActivationKind kind) {
  return kind == ActivationKind::kStochastic || kind == ActivationKind::kExpected;
}

std::vector<std::string_view> SplitAtCommas(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t comma = text.find(','); comma != text.npos; comma = text.find(',')) {
    parts.push_back(text.substr(0, comma));
    text.remove_prefix(comma + 1);
  }
  parts.push_back(text);
  return parts;
}

[[noreturn]] void ThrowUnknown(std::string_view text, std::string_view where) {
  throw Error({.where = std::string(where),
               .what = "not an activation",
               .got = "\"" + std::string(text) + "\"",
               .expected = "relu, silu, relu2, stocha:P or expected:P with P from 0 to 1, e.g. "
                           "stocha:0.7, expected:0.5,blend or stocha:0.7,smooth,token"});
}

}  // namespace

Activation StochasticActivation(double p) {
  return {.kind = ActivationKind::kStochastic,
          .p_65536 = static_cast<uint32_t>(std::lround(p * 65536))};
}

Activation ParseActivation(std::string_view text, std::string_view where) {
  if (text == "relu") return {.kind = ActivationKind::kRelu};
  if (text == "silu") return {.kind = ActivationKind::kSilu};
  if (text == "relu2") return {.kind = ActivationKind::kReluSquared};

  const std::vector<std::string_view> parts = SplitAtCommas(text);
  const size_t colon = std::min(parts[0].find(':'), parts[0].size());
  const std::string_view name = parts[0].substr(0, colon);
  const std::string_view value = parts[0].substr(std::min(colon + 1, parts[0].size()));
  if (name != "stocha" && name != "expected") ThrowUnknown(text, where);
  double p = -1;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), p);
  if (error != std::errc() || end != value.data() + value.size() || !(p >= 0 && p <= 1)) {
    ThrowUnknown(text, where);
  }
  Activation activation = StochasticActivation(p);
  if (name == "expected") activation.kind = ActivationKind::kExpected;
  for (size_t i = 1; i < parts.size(); ++i) {
    const bool may_share = name == "stocha" && activation.granularity == CoinGranularity::kElement;
    const bool may_smooth = activation.positive == PositiveSide::kIdentity;
    if (parts[i] == "smooth" && may_smooth) {
      activation.positive = PositiveSide::kSilu;
    } else if (parts[i] == "blend" && may_smooth) {
      activation.positive = PositiveSide::kBlend;
    } else if (parts[i] == "token" && may_share) {
      activation.granularity = CoinGranularity::kToken;
    } else if (parts[i] == "layer" && may_share) {
      activation.granularity = CoinGranularity::kLayer;
    } else {
      ThrowUnknown(text, where);
    }
  }
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
  if (activation.positive == PositiveSide::kSilu) text += ",smooth";
  if (activation.positive == PositiveSide::kBlend) text += ",blend";
  if (activation.granularity == CoinGranularity::kToken) text += ",token";
  if (activation.granularity == CoinGranularity::kLayer) text += ",layer";
  return text;
}

double Activate(const Activation& activation, double x, bool coin) {
  if (activation.kind == ActivationKind::kSilu) return Silu(x);
  const bool draws = DrawsOrAverages(activation.kind);
  if (!(x < 0)) {  // NaN comes here too, and stays NaN
    if (activation.kind == ActivationKind::kReluSquared) return x * x;
    if (!draws) return x;
    const double share = activation.positive_silu();
    if (share == 0 || share == 1) return share == 0 ? x : Silu(x);  // infinity times 0 is none
    return share * Silu(x) + (1 - share) * x;
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
    const double identity = x == 0 ? 0 : 1;
    const double share = draws ? activation.positive_silu() : 0;
    if (share == 0) return identity;  // SiLU's is NaN at infinity
    return share * SiluGrad(x) + (1 - share) * identity;
  }
  if (!draws) return 0;
  if (activation.kind == ActivationKind::kExpected) return activation.p() * SiluGrad(x);
  return coin ? SiluGrad(x) : 0;
}

}  // namespace stocha
