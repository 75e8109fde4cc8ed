// The kinds of evaluation behind `stocha eval`: each takes a file and gives a JSON object, the same
// that --json prints. What is finished goes to a RecordLog, example by example.
#ifndef STOCHA_CLI_EVAL_TASKS_H_
#define STOCHA_CLI_EVAL_TASKS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "stocha/base/stop_signal.h"
#include "stocha/cli/engine_flags.h"
#include "stocha/engine/sampler.h"
#include "stocha/eval/choice.h"
#include "stocha/eval/perplexity.h"
#include "stocha/eval/record_log.h"
#include "stocha/model/tokenizer.h"

namespace stocha {

enum class EvalKind : uint8_t { kPerplexity, kChoice, kLambada, kQa };

struct EvalTask {
  EvalKind kind;
  std::string file;
};

struct EvalFlags {
  EngineFlags engine;
  std::vector<EvalTask> tasks;
  int64_t context = 0;       // 0: kDefaultContext, or what the model has
  int64_t stride = 0;        // 0: half the context
  int64_t limit_tokens = 0;  // 0: all
  int64_t limit = 0;         // examples of each file; 0: all
  std::string delimiter{kChoiceDelimiter};
  std::vector<int64_t> samples = {1};  // of a question: N of the best of N
  int64_t shots = 5;                   // first examples of a file, shown with their answers
  int64_t max_tokens = 32;             // of an answer
  SamplerOptions sampler;
  bool draw_prompt = false;
  std::string resume;  // file of finished results; empty: none
  bool json = false;
};

inline constexpr int64_t kDefaultContext = 1024;

// What the tasks of one command share.
struct EvalRun {
  const EvalFlags& flags;
  LoadedEngine& engine;
  const Tokenizer& tokenizer;
  RecordLog& log;
  const StopSignal& stop;
};

// Windows of kDefaultContext tokens, or of as many as the model has, half of one apart.
PerplexityOptions DefaultPerplexity(const ModelConfig& config, const Tokenizer& tokenizer);

// The largest of flags.samples, which is how many are drawn.
int64_t SamplesDrawn(const EvalFlags& flags);

std::string_view EvalKindName(EvalKind kind);

// What the results of a task depend on, besides the model and the activation: a task of the resume
// file's header. Throws Error when the file cannot be read.
nlohmann::ordered_json DescribeTask(const EvalFlags& flags, const EvalTask& task);

// {"kind", "file", "seconds", ...}; docs/evaluation.md has the keys of each kind. Throws Error on a
// bad file, and when the run is interrupted.
nlohmann::ordered_json RunTask(EvalRun& run, int64_t task);

// --- for the kinds' own files --------------------------------------------------------------------

// What each kind adds to the object.
nlohmann::ordered_json RunPerplexity(EvalRun& run, int64_t task, const std::string& file);
nlohmann::ordered_json RunChoice(EvalRun& run, int64_t task, const std::string& file);
nlohmann::ordered_json RunLambada(EvalRun& run, int64_t task, const std::string& file);
nlohmann::ordered_json RunQa(EvalRun& run, int64_t task, const std::string& file);

// Throws Error, with the log written, when the run is interrupted.
void StopIfAsked(const EvalRun& run);
// The examples below `examples` that the log has no result of.
std::vector<int64_t> MissingExamples(const EvalRun& run, int64_t task, int64_t examples);
// Coins and draws of an example are its own, the same whatever is evaluated beside it.
uint64_t ExampleSeed(const EvalRun& run, int64_t example);
// "FILE: example 17", for errors.
std::string NameExample(const std::string& file, int64_t example);
// "acc" and "acc_stderr".
void AddMean(nlohmann::ordered_json* json, const std::string& name, const Mean& mean);

}  // namespace stocha

#endif  // STOCHA_CLI_EVAL_TASKS_H_
