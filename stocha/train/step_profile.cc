#include "stocha/train/step_profile.h"

#include <ATen/SequenceNumber.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <memory>
#include <string_view>

#include "stocha/recipe/schedule.h"
#include "stocha/train/gradients.h"
#include "stocha/train/optimizer.h"
#include "stocha/train/random_tokens.h"
#include "stocha/train/transformer.h"
#include "stocha/train/weights.h"

namespace stocha {
namespace {

constexpr std::string_view kProducts = "matrix products";
constexpr std::string_view kAttention = "attention";
constexpr std::string_view kCasts = "casts";
constexpr std::string_view kRest = "rest";

bool IsProduct(std::string_view op) {
  constexpr std::array<std::string_view, 7> kOps = {
      "aten::mm",     "aten::addmm",  "aten::bmm",      "aten::baddbmm",
      "aten::linear", "aten::matmul", "stocha::product"};
  return std::find(kOps.begin(), kOps.end(), op) != kOps.end();
}

bool IsCast(std::string_view op) { return op == "aten::to" || op == "aten::copy_"; }

// Follows what torch calls on this thread; each moment counts for the innermost part.
class Recorder {
 public:
  Recorder()
      : handle_(at::addThreadLocalCallback(
            at::RecordFunctionCallback(&Start, &End)
                .scopes({at::RecordScope::FUNCTION, at::RecordScope::BACKWARD_FUNCTION,
                         at::RecordScope::USER_SCOPE}))) {
    current_ = this;
  }
  ~Recorder() {
    at::removeCallback(handle_);
    current_ = nullptr;
  }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  void Reset() {
    seconds_.clear();
    last_ = Clock::now();
  }
  // What was spent since Reset.
  std::map<std::string, std::array<double, 2>> Take() {
    Account();
    return seconds_;
  }

 private:
  using Clock = std::chrono::steady_clock;

  struct Frame {
    std::string part{kRest};
    bool backward = false;
    uint64_t first_node = 0;  // of autograd's, when it began
  };
  // Nodes [first, last) were made by this part.
  struct Nodes {
    uint64_t first = 0;
    uint64_t last = 0;
    std::string part;
  };

  static std::unique_ptr<at::ObserverContext> Start(const at::RecordFunction& function) {
    if (current_ != nullptr) current_->Enter(function);
    return nullptr;
  }
  static void End(const at::RecordFunction& function, at::ObserverContext* /*context*/) {
    if (current_ != nullptr) current_->Leave(function);
  }

  void Account() {
    const Clock::time_point now = Clock::now();
    const Frame& frame = frames_.back();
    seconds_[frame.part][frame.backward ? 1 : 0] +=
        std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

  void Enter(const at::RecordFunction& function) {
    Account();
    Frame frame = frames_.back();
    const std::string_view name = function.name();
    switch (function.scope()) {
      case at::RecordScope::BACKWARD_FUNCTION:
        frame.backward = true;
        frame.part = MakerOf(static_cast<uint64_t>(function.seqNr()));
        break;
      case at::RecordScope::USER_SCOPE:
        frame.part = name;
        frame.first_node = at::sequence_number::peek();
        break;
      default:
        if (IsProduct(name) && frame.part != kAttention) frame.part = kProducts;
        if (IsCast(name) && frame.part == kRest) frame.part = kCasts;
    }
    frames_.push_back(frame);
  }

  void Leave(const at::RecordFunction& function) {
    Account();
    const Frame frame = frames_.back();
    frames_.pop_back();
    if (function.scope() != at::RecordScope::USER_SCOPE) return;
    nodes_.push_back({frame.first_node, at::sequence_number::peek(), frame.part});
  }

  // The latest scope that holds the node; numbers only rise.
  std::string MakerOf(uint64_t node) const {
    const auto behind =
        std::upper_bound(nodes_.begin(), nodes_.end(), node,
                         [](uint64_t value, const Nodes& nodes) { return value < nodes.first; });
    if (behind == nodes_.begin()) return std::string(kRest);
    const Nodes& nodes = *std::prev(behind);
    return node < nodes.last ? nodes.part : std::string(kRest);
  }

  static thread_local Recorder* current_;

  std::vector<Frame> frames_{Frame{}};
  std::vector<Nodes> nodes_;
  std::map<std::string, std::array<double, 2>> seconds_;  // forward, backward
  Clock::time_point last_ = Clock::now();
  at::CallbackHandle handle_;
};

thread_local Recorder* Recorder::current_ = nullptr;

}  // namespace

StepProfile ProfileStep(const Recipe& given, int64_t steps) {
  Recipe recipe = given;
  recipe.layerwise_until = recipe.kl_weight = 0;
  const RandomTokens tokens(recipe, recipe.batch_size);
  const Transformer model(recipe.model, RandomWeights(recipe.model, recipe.seed));
  Optimizer optimizer(model.specs(), model.weights(), recipe);
  const auto step_once = [&](int64_t step) {
    AccumulateGradients(model, /*teacher=*/nullptr, tokens.order(), recipe, step,
                        recipe.batch_size);
    RECORD_USER_SCOPE("optimizer");
    optimizer.Step(LearningRateAt(recipe, step), optimizer.GradientNorm());
  };
  step_once(0);
  Recorder recorder;
  recorder.Reset();
  for (int64_t step = 1; step <= steps; ++step) step_once(step);

  StepProfile profile;
  profile.tokens_per_step = recipe.batch_size * recipe.sequence_length;
  const double to_ms = 1e3 / static_cast<double>(steps);
  for (const auto& [part, seconds] : recorder.Take()) {
    profile.parts.push_back({part, to_ms * seconds[0], to_ms * seconds[1]});
    profile.step_ms += to_ms * (seconds[0] + seconds[1]);
  }
  std::sort(profile.parts.begin(), profile.parts.end(), [](const PartTime& a, const PartTime& b) {
    return a.forward_ms + a.backward_ms > b.forward_ms + b.backward_ms;
  });
  return profile;
}

}  // namespace stocha
