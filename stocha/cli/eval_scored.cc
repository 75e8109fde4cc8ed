// stocha eval --choice and --lambada: what is scored by log-likelihood.
#include <functional>
#include <utility>

#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/base/progress.h"
#include "stocha/cli/eval_tasks.h"
#include "stocha/eval/choice.h"
#include "stocha/eval/continuation.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/last_word.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// Scores the examples that the log has no result of, in batches.
void ScoreMissing(EvalRun& run, int64_t task, int64_t examples,
                  const std::function<ContinuationGroup(int64_t example)>& encode) {
  const std::vector<int64_t> missing = MissingExamples(run, task, examples);
  const auto done_before = static_cast<uint64_t>(examples) - missing.size();
  Progress progress({.label = std::string(EvalKindName(run.flags.tasks[task].kind)),
                     .unit = "examples",
                     .total = static_cast<uint64_t>(examples),
                     .start = done_before});
  for (size_t begin = 0, end = 0; begin < missing.size(); begin = end) {
    std::vector<ContinuationGroup> groups;
    for (int64_t tokens = 0; end < missing.size() && tokens < kScoreBatchTokens; ++end) {
      groups.push_back(encode(missing[end]));
      groups.back().seed = ExampleSeed(run, missing[end]);
      tokens += CountTokens(groups.back());
    }
    const auto scores =
        ScoreContinuations(run.engine.model, groups, run.engine.activation, run.engine.workspace);
    for (size_t i = begin; i < end; ++i) {
      Json log_likelihoods = Json::array();
      Json greedy = Json::array();
      for (const ContinuationScore& score : scores[i - begin]) {
        log_likelihoods.push_back(score.log_likelihood);
        greedy.push_back(score.greedy);
      }
      run.log.Add(task, missing[i],
                  {{"log_likelihoods", std::move(log_likelihoods)}, {"greedy", std::move(greedy)}});
    }
    progress.Update(done_before + end, static_cast<double>(end), "");
    StopIfAsked(run);
  }
}

// The `count` scores of an example, out of the log.
std::vector<ContinuationScore> ReadScores(const EvalRun& run, int64_t task, int64_t example,
                                          size_t count) {
  const JsonObject object(*run.log.Find(task, example), run.flags.resume);
  const Json& log_likelihoods = object.Array("log_likelihoods");
  const Json& greedy = object.Array("greedy");
  std::vector<ContinuationScore> scores;
  for (size_t i = 0; i < count; ++i) {
    if (log_likelihoods.size() != count || !log_likelihoods[i].is_number()) {
      object.Fail("log_likelihoods", std::to_string(count) + " numbers");
    }
    if (greedy.size() != count || !greedy[i].is_boolean()) {
      object.Fail("greedy", std::to_string(count) + " of true or false");
    }
    scores.push_back({log_likelihoods[i].get<double>(), greedy[i].get<bool>()});
  }
  return scores;
}

}  // namespace

OrderedJson RunChoice(EvalRun& run, int64_t task, const std::string& file) {
  const auto examples = ParseChoiceExamples(ReadFile(file), file, run.flags.limit);
  const int64_t positions = run.engine.model.config().max_position_embeddings;
  ScoreMissing(run, task, static_cast<int64_t>(examples.size()), [&](int64_t i) {
    return EncodeChoices(run.tokenizer, examples[i], run.flags.delimiter, positions,
                         NameExample(file, i));
  });
  std::vector<ChoiceResult> results;
  for (size_t i = 0; i < examples.size(); ++i) {
    std::vector<double> log_likelihoods;
    for (const ContinuationScore& score :
         ReadScores(run, task, static_cast<int64_t>(i), examples[i].choices.size())) {
      log_likelihoods.push_back(score.log_likelihood);
    }
    results.push_back(JudgeChoices(examples[i], log_likelihoods));
  }
  const ChoiceSummary summary = SummarizeChoices(results);
  OrderedJson json = {{"examples", examples.size()}};
  AddMean(&json, "acc", summary.acc);
  AddMean(&json, "acc_norm", summary.acc_norm);
  AddMean(&json, "acc_bytes", summary.acc_bytes);
  return json;
}

OrderedJson RunLambada(EvalRun& run, int64_t task, const std::string& file) {
  const auto examples = ParseLastWordExamples(ReadFile(file), file, run.flags.limit);
  const int64_t positions = run.engine.model.config().max_position_embeddings;
  ScoreMissing(run, task, static_cast<int64_t>(examples.size()), [&](int64_t i) {
    return EncodeLastWord(run.tokenizer, examples[i], positions, NameExample(file, i));
  });
  std::vector<ContinuationScore> scores;
  scores.reserve(examples.size());
  for (size_t i = 0; i < examples.size(); ++i) {
    scores.push_back(ReadScores(run, task, static_cast<int64_t>(i), 1).front());
  }
  const LastWordSummary summary = SummarizeLastWords(scores);
  OrderedJson json = {{"examples", examples.size()}};
  AddMean(&json, "acc", summary.acc);
  AddMean(&json, "perplexity", summary.perplexity);
  return json;
}

}  // namespace stocha
