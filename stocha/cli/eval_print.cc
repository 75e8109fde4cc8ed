#include "stocha/cli/eval_print.h"

#include <fmt/format.h>

#include <cstdint>
#include <string>

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

double Number(const OrderedJson& json, const std::string& key) { return json[key].get<double>(); }

// "acc           61.3 % +- 1.0"
void PrintPercent(const OrderedJson& json, const std::string& key) {
  fmt::print("{:<13} {:.1f} % +- {:.1f}\n", key, 100 * Number(json, key),
             100 * Number(json, key + "_stderr"));
}

void PrintPerplexity(const OrderedJson& result) {
  fmt::print("perplexity    {:.4f}\n", Number(result, "perplexity"));
  fmt::print("nats a token  {:.4f}\n", Number(result, "nll_per_token"));
  fmt::print("bits a byte   {:.4f}\n", Number(result, "bits_per_byte"));
  fmt::print("scored        {} tokens, {} bytes; context {}, stride {}\n",
             result["tokens"].get<int64_t>(), result["bytes"].get<int64_t>(),
             result["context"].get<int64_t>(), result["stride"].get<int64_t>());
}

void PrintQa(const OrderedJson& result) {
  fmt::print("prompt        {} shots, activation {}; temperature {}\n",
             result["shots"].get<int64_t>(), result["prompt_activation"].get<std::string>(),
             Number(result, "temperature"));
  fmt::print("{:>13}  {:>12}  {:>12}  {:>12}  {:>12}\n", "best of", "exact match", "F1", "majority",
             "its F1");
  for (const OrderedJson& row : result["best_of"]) {
    fmt::print("{:>13}", row["n"].get<int64_t>());
    for (const char* key : {"exact_match", "f1", "majority_exact_match", "majority_f1"}) {
      fmt::print("  {:>5.1f} +- {:.1f}", 100 * Number(row, key),
                 100 * Number(row, std::string(key) + "_stderr"));
    }
    fmt::print("\n");
  }
  if (!result.contains("diversity")) return;
  const OrderedJson& diversity = result["diversity"];
  fmt::print(
      "diversity     distinct-1, 2, 3 {:.3f} {:.3f} {:.3f}; self-BLEU {:.3f}; edit distance "
      "{:.3f}; unique {:.3f}\n",
      Number(diversity, "distinct_1"), Number(diversity, "distinct_2"),
      Number(diversity, "distinct_3"), Number(diversity, "self_bleu"),
      Number(diversity, "edit_distance"), Number(diversity, "unique"));
}

void PrintSparsity(const OrderedJson& result) {
  const OrderedJson& layers = result["sparsity"];
  if (layers.empty()) return;
  double sum = 0;
  std::string by_layer;
  for (const OrderedJson& layer : layers) {
    sum += layer.get<double>();
    by_layer += fmt::format(" {:.1f}", 100 * layer.get<double>());
  }
  fmt::print("silent        {:.1f} % of neurons; by layer:{}\n",
             100 * sum / static_cast<double>(layers.size()), by_layer);
}

}  // namespace

void PrintEvalResult(const OrderedJson& result) {
  const auto kind = result["kind"].get<std::string>();
  fmt::print("--- {} of {}\n", kind, result["file"].get<std::string>());
  if (result.contains("examples")) {
    fmt::print("examples      {}\n", result["examples"].get<int64_t>());
  }
  if (kind == "perplexity") {
    PrintPerplexity(result);
  } else if (kind == "choice") {
    for (const char* key : {"acc", "acc_norm", "acc_bytes"}) PrintPercent(result, key);
  } else if (kind == "lambada") {
    PrintPercent(result, "acc");
    fmt::print("perplexity    {:.4g} +- {:.2g}\n", Number(result, "perplexity"),
               Number(result, "perplexity_stderr"));
  } else if (kind == "qa") {
    PrintQa(result);
  }
  PrintSparsity(result);
}

}  // namespace stocha
