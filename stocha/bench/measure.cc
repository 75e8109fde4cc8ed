#include "stocha/bench/measure.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <span>
#include <string>

#include "stocha/bench/ffn_walk.h"
#include "stocha/engine/kv_cache.h"

namespace stocha {
namespace {

// Passes whose inputs are kept for the FFN-only walk; they are walked again until that took a
// while.
constexpr int64_t kWalkPasses = 16;
constexpr int64_t kWarmUpTokens = 64;

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

void ResetCounts(Workspace& workspace) {
  std::ranges::fill(workspace.stats, LayerStats{});
  workspace.other_bytes = 0;
}

LayerStats Total(const Workspace& workspace) {
  LayerStats total;
  for (const LayerStats& layer : workspace.stats) total += layer;
  return total;
}

class Measurer {
 public:
  Measurer(const Model& model, const std::vector<int32_t>& ids, const MeasureOptions& options,
           ThreadPool& pool, const Tell& tell)
      : model_(model),
        config_(model.config()),
        ids_(ids),
        options_(options),
        tell_(tell),
        workspace_(config_, &pool, {.prefill = options.prefill}),
        logits_(options.batch * config_.vocab_size),
        out_(static_cast<size_t>(config_.hidden_size)) {
    for (int64_t s = 0; s < options.batch; ++s) {
      caches_.push_back(
          std::make_unique<KvCache>(config_, options.prompt_tokens + options.gen_tokens));
    }
    for (const FfnMode mode : options.modes) figures_.push_back({.mode = mode});
  }

  std::vector<ModeFigures> Run() {
    WarmUp();
    for (int round = 0; round < options_.rounds; ++round) {
      for (ModeFigures& figures : figures_) {
        workspace_.ffn_mode = figures.mode;
        Prefill(figures);
        Decode(figures);
        Walk(figures);
      }
    }
    return std::move(figures_);
  }

 private:
  int64_t tokens_a_sequence() const { return options_.prompt_tokens + options_.gen_tokens; }

  // `phase` of one mode and round is done in part.
  void Report(FfnMode mode, const char* phase, double part) {
    const auto phases = static_cast<double>(3 * options_.rounds * figures_.size());
    doing_ = std::string(FfnModeName(mode)) + ' ' + phase;
    done_ = (phases_done_ + part) / phases;
    tell_(doing_, done_);
  }

  // Passes say between their layers, too, that they are going on: a prefill is long.
  void TellBetweenLayers() {
    workspace_.on_ffn_input = [this](int, int64_t) { tell_(doing_, done_); };
  }

  // Tokens first .. first + count - 1 of every sequence in one pass.
  const Model& ModelNow() const {
    const bool other = workspace_.ffn_mode == FfnMode::kDense && options_.dense_model != nullptr;
    return other ? *options_.dense_model : model_;
  }

  void Forward(int64_t first, int64_t count) {
    std::vector<Step> steps;
    steps.reserve(caches_.size());
    for (size_t s = 0; s < caches_.size(); ++s) steps.push_back(MakeStep(s, first, count));
    ModelNow().Forward(steps, workspace_);
  }

  Step MakeStep(size_t sequence, int64_t first, int64_t count) {
    const auto begin = static_cast<int64_t>(sequence) * tokens_a_sequence() + first;
    return {
        .cache = caches_[sequence].get(),
        .tokens = std::span(ids_).subspan(static_cast<size_t>(begin), static_cast<size_t>(count)),
        .activation = options_.activation,
        .wanted = LogitsWanted::kLast,
        .logits = logits_.data() + static_cast<int64_t>(sequence) * config_.vocab_size};
  }

  void ClearCaches() {
    for (const auto& cache : caches_) cache->Clear();
  }

  // Touches every page of the weights, and keeps inputs of decoding.
  void WarmUp() {
    tell_(doing_, done_);
    TellBetweenLayers();
    workspace_.ffn_mode = FfnMode::kDense;
    const int64_t prompt = std::min(kWarmUpTokens, options_.prompt_tokens);
    for (size_t s = 0; s < caches_.size(); ++s) {
      const Step step = MakeStep(s, 0, prompt);
      ModelNow().Forward({&step, 1}, workspace_);
    }
    const int64_t passes = std::min(kWalkPasses, tokens_a_sequence() - prompt);
    recording_ = std::make_unique<FfnRecording>(config_, workspace_);
    for (int64_t i = 0; i < passes; ++i) {
      tell_(doing_, done_);
      Forward(prompt + i, 1);
    }
    recording_->Stop();
    TellBetweenLayers();
  }

  void Prefill(ModeFigures& figures) {
    ClearCaches();
    const Stopwatch watch;
    for (size_t s = 0; s < caches_.size(); ++s) {
      Report(figures.mode, "prefill", static_cast<double>(s) / static_cast<double>(caches_.size()));
      const Step step = MakeStep(s, 0, options_.prompt_tokens);
      ModelNow().Forward({&step, 1}, workspace_);
    }
    const auto tokens = static_cast<double>(options_.batch * options_.prompt_tokens);
    figures.prefill_tokens_per_s.values.push_back(tokens / watch.Seconds());
    ++phases_done_;
  }

  void Decode(ModeFigures& figures) {
    ResetCounts(workspace_);
    const double bandwidth = options_.read_bandwidth();
    const Stopwatch watch;
    for (int64_t i = 0; i < options_.gen_tokens; ++i) {
      Report(figures.mode, "decode",
             static_cast<double>(i) / static_cast<double>(options_.gen_tokens));
      Forward(options_.prompt_tokens + i, 1);
    }
    const auto tokens = static_cast<double>(options_.batch * options_.gen_tokens);
    figures.decode_tokens_per_s.values.push_back(tokens / watch.Seconds());
    figures.read_bandwidth.values.push_back(std::max(bandwidth, options_.read_bandwidth()));
    const auto weights = static_cast<double>(Total(workspace_).bytes + workspace_.other_bytes);
    figures.bytes_per_token = weights / tokens + CacheBytesPerToken();
    figures.active_fraction.clear();
    for (const LayerStats& layer : workspace_.stats) {
      figures.active_fraction.push_back(layer.ActiveFraction(config_.intermediate_size));
    }
    ++phases_done_;
  }

  // Keys and values that the attention of one decoded token reads, in the mean.
  double CacheBytesPerToken() const {
    const double positions = static_cast<double>(options_.prompt_tokens) +
                             (static_cast<double>(options_.gen_tokens) + 1) / 2;
    const auto number = static_cast<double>(sizeof(*caches_[0]->Key(0, 0, 0)));
    return 2 * number * positions *
           static_cast<double>(config_.num_hidden_layers * config_.kv_size());
  }

  void Walk(ModeFigures& figures) {
    ResetCounts(workspace_);
    double tokens = 0;
    const Stopwatch watch;
    do {
      for (int64_t pass = 0; pass < recording_->passes(); ++pass) {
        Report(figures.mode, "FFN", 0);
        WalkFfn(ModelNow(), *recording_, pass, options_.activation, workspace_, out_.data());
        tokens += static_cast<double>(recording_->tokens(pass));
      }
    } while (watch.Seconds() < options_.walk_seconds);
    figures.ffn_us_per_token.values.push_back(1e6 * watch.Seconds() / tokens);
    const LayerStats total = Total(workspace_);
    figures.ffn_bytes_per_token = static_cast<double>(total.bytes) / tokens;
    figures.ffn_fired_per_token = static_cast<double>(total.fired) / tokens;
    ++phases_done_;
  }

  const Model& model_;
  const ModelConfig& config_;
  const std::vector<int32_t>& ids_;  // [batch, tokens_a_sequence()]
  const MeasureOptions& options_;
  const Tell& tell_;
  Workspace workspace_;
  Buffer<float> logits_;                          // [batch, vocab_size]
  std::vector<float> out_;                        // [hidden_size]
  std::vector<std::unique_ptr<KvCache>> caches_;  // [batch]
  std::unique_ptr<FfnRecording> recording_;
  std::vector<ModeFigures> figures_;  // [modes]
  int phases_done_ = 0;
  std::string doing_ = "warming up";  // what was told last
  double done_ = 0;
};

}  // namespace

double Samples::Min() const { return *std::ranges::min_element(values); }
double Samples::Max() const { return *std::ranges::max_element(values); }

double Samples::Median() const {
  std::vector<double> sorted = values;
  std::ranges::sort(sorted);
  const size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

std::string_view FfnModeName(FfnMode mode) {
  switch (mode) {
    case FfnMode::kAuto:
      return "auto";
    case FfnMode::kDense:
      return "dense";
    case FfnMode::kExact:
      return "exact";
    case FfnMode::kScreened:
      return "screened";
  }
  return "?";
}

std::vector<ModeFigures> Measure(const Model& model, const std::vector<int32_t>& ids,
                                 const MeasureOptions& options, ThreadPool& pool,
                                 const Tell& tell) {
  return Measurer(model, ids, options, pool, tell).Run();
}

}  // namespace stocha
