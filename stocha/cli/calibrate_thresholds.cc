#include "stocha/cli/calibrate_thresholds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "stocha/base/progress.h"

namespace stocha {
namespace {

// Passes over the text that a sparsity takes, as a guess for the time that is left.
constexpr int64_t kUsualRounds = 3;
// Further away than this from what was asked for is said.
constexpr double kFarOff = 0.005;

// Progress in tokens, of pieces of work whose lengths are guesses: each ends where it was said to.
class Pieces {
 public:
  Pieces(int64_t tokens, const std::function<void()>& check)
      : check_(check),
        progress_({.label = "calibrate", .unit = "tok", .total = static_cast<uint64_t>(tokens)}) {}

  // `done` tokens of this piece, and `note` on it.
  void Update(int64_t done, const std::string& note) {
    check_();
    piece_done_ = std::max(piece_done_, done);
    const int64_t shown = before_ + std::min(done, piece_ - 1);
    progress_.Update(static_cast<uint64_t>(shown), static_cast<double>(ran_ + piece_done_), note);
  }
  void Begin(int64_t tokens) {
    before_ += piece_;
    ran_ += piece_done_;
    piece_ = tokens;
    piece_done_ = 0;
  }
  void End() {
    Begin(0);
    progress_.Update(static_cast<uint64_t>(before_), static_cast<double>(ran_), "");
  }
  void Print(const std::string& line) { progress_.Print(line); }

 private:
  std::function<void()> check_;
  Progress progress_;
  int64_t before_ = 0;      // tokens of the pieces before
  int64_t piece_ = 0;       // of this one, as it was said to have
  int64_t piece_done_ = 0;  // that really went through
  int64_t ran_ = 0;         // likewise, of the pieces before
};

class ThresholdRun {
 public:
  ThresholdRun(Model* model, const ThresholdTask& task, ThreadPool& pool,
               const std::function<void()>& check)
      : model_(*model),
        task_(task),
        pool_(pool),
        text_tokens_(std::ssize(task.text.ids)),
        validation_tokens_(std::ssize(task.validation)),
        pieces_(
            text_tokens_ + validation_tokens_ +
                std::ssize(task.sparsities) * (kUsualRounds * text_tokens_ + validation_tokens_),
            check) {}

  ThresholdResult Run() {
    ThresholdResult result = {.firing = {.tokens = text_tokens_}};
    model_.SetThresholds({});
    pieces_.Begin(text_tokens_);
    Workspace workspace(model_.config(), &pool_, {});
    const std::vector<GateHistogram> start =
        CountGates(model_, task_.text, workspace,
                   [&](int64_t tokens) { pieces_.Update(tokens, "without thresholds"); });
    const int64_t neurons = model_.config().intermediate_size;
    CurvePoint none;
    LayerStats all;
    for (const LayerStats& layer : workspace.stats) {
      none.by_layer.push_back(1 - layer.ActiveFraction(neurons));
      all += layer;
    }
    none.sparsity = 1 - all.ActiveFraction(neurons);
    Validate("none", &none);
    result.points.push_back(std::move(none));
    for (const double sparsity : task_.sparsities) {
      CalibratedThresholds calibrated = Calibrate(start, sparsity);
      CurvePoint point = {.asked = sparsity,
                          .thresholds = std::move(calibrated.thresholds),
                          .by_layer = std::move(calibrated.sparsity),
                          .sparsity = calibrated.mean_sparsity};
      Validate(Name(sparsity), &point);
      result.points.push_back(std::move(point));
      result.firing.counts = std::move(calibrated.neuron_fired);
    }
    pieces_.End();
    return result;
  }

 private:
  static std::string Name(double sparsity) { return fmt::format("{:g} %", 100 * sparsity); }

  CalibratedThresholds Calibrate(const std::vector<GateHistogram>& start, double sparsity) {
    pieces_.Begin(kUsualRounds * text_tokens_);
    CalibratedThresholds calibrated = CalibrateThresholds(
        &model_, start, task_.text, sparsity, task_.sharing, pool_, [&](int round, int64_t tokens) {
          pieces_.Update((round - 1) * text_tokens_ + tokens,
                         fmt::format("{}, pass {}", Name(sparsity), round));
        });
    const bool none = std::ranges::all_of(calibrated.thresholds, [](float t) { return t == 0; });
    if (none) {
      pieces_.Print(fmt::format("{}: the model has {:.2f} % without thresholds, and gets none",
                                Name(sparsity), 100 * calibrated.mean_sparsity));
    } else if (std::abs(calibrated.mean_sparsity - sparsity) > kFarOff) {
      pieces_.Print(fmt::format("{}: {} passes over the text came no nearer than {:.2f} %",
                                Name(sparsity), kMaxRounds, 100 * calibrated.mean_sparsity));
    }
    return calibrated;
  }

  void Validate(const std::string& name, CurvePoint* point) {
    if (task_.validation.empty()) return;
    pieces_.Begin(validation_tokens_);
    Workspace workspace(model_.config(), &pool_, {});
    point->validation = Perplexity(
        model_, task_.validation, task_.perplexity, workspace, [&](const PerplexityResult& so_far) {
          pieces_.Update(so_far.tokens,
                         fmt::format("{}, perplexity {:.4f}", name, so_far.Perplexity()));
          return true;
        });
    LayerStats all;
    for (const LayerStats& layer : workspace.stats) all += layer;
    point->validation_sparsity = 1 - all.ActiveFraction(model_.config().intermediate_size);
  }

  Model& model_;
  const ThresholdTask& task_;
  ThreadPool& pool_;
  int64_t text_tokens_;
  int64_t validation_tokens_;
  Pieces pieces_;
};

}  // namespace

ThresholdResult RunThresholds(Model* model, const ThresholdTask& task, ThreadPool& pool,
                              const std::function<void()>& check) {
  return ThresholdRun(model, task, pool, check).Run();
}

}  // namespace stocha
