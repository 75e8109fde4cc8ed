// stocha eval --qa: several answers to each question.
#include <algorithm>
#include <span>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/base/file.h"
#include "stocha/base/json.h"
#include "stocha/base/progress.h"
#include "stocha/cli/eval_tasks.h"
#include "stocha/eval/examples.h"
#include "stocha/eval/question.h"
#include "stocha/eval/sampling.h"

namespace stocha {
namespace {

using OrderedJson = nlohmann::ordered_json;

// The examples of a file: the first ones are shown, the others asked.
struct Questions {
  std::vector<QuestionExample> shots;
  std::vector<QuestionExample> asked;
};

Questions ReadQuestions(const EvalFlags& flags, const std::string& file) {
  const int64_t limit = flags.limit == 0 ? 0 : flags.limit + flags.shots;
  Questions questions = {.asked = ParseQuestionExamples(ReadFile(file), file, limit)};
  if (std::ssize(questions.asked) <= flags.shots) {
    throw Error({.where = file,
                 .what = "too few examples",
                 .got = std::to_string(questions.asked.size()),
                 .expected = "more than the " + std::to_string(flags.shots) + " of --shots"});
  }
  const auto asked = questions.asked.begin() + flags.shots;
  questions.shots.assign(questions.asked.begin(), asked);
  questions.asked.erase(questions.asked.begin(), asked);
  return questions;
}

// The last tokens that leave room for an answer.
std::vector<int32_t> EncodePrompt(const EvalRun& run, const std::string& prompt,
                                  const std::string& where) {
  std::vector<int32_t> ids = run.tokenizer.Encode(prompt);
  const int64_t room = run.engine.model.config().max_position_embeddings - run.flags.max_tokens;
  if (room < 1) {
    throw UsageError({.where = "--max-tokens",
                      .what = "leaves no room for a prompt",
                      .got = std::to_string(run.flags.max_tokens),
                      .expected = "less than the model's context, " +
                                  std::to_string(room + run.flags.max_tokens)});
  }
  if (ids.empty()) throw Error({.where = where, .what = "a prompt without tokens"});
  const int64_t cut = std::max<int64_t>(std::ssize(ids) - room, 0);
  ids.erase(ids.begin(), ids.begin() + cut);
  return ids;
}

// Asks the questions that the log has no answers to. A question's number counts the shots.
void AnswerMissing(EvalRun& run, int64_t task, const Questions& questions,
                   const SamplingOptions& options) {
  const EvalFlags& flags = run.flags;
  const auto shots = std::ssize(questions.shots);
  std::vector<int64_t> missing;
  std::vector<SamplePrompt> prompts;
  for (int64_t i = 0; i < std::ssize(questions.asked); ++i) {
    const int64_t number = shots + i;
    if (run.log.Find(task, number) != nullptr) continue;
    const std::string prompt = QuestionPrompt(questions.shots, questions.asked[i]);
    prompts.push_back(
        {.ids = EncodePrompt(run, prompt, NameExample(flags.tasks[task].file, number)),
         .seed = ExampleSeed(run, number)});
    missing.push_back(number);
  }
  const auto total = static_cast<uint64_t>(questions.asked.size());
  uint64_t done = total - missing.size();
  const uint64_t done_before = done;
  Progress progress({.label = "qa", .unit = "questions", .total = total, .start = done_before});
  SampleAll(
      run.engine.model, prompts, options, run.engine.workspace,
      [&](int64_t prompt, const std::vector<std::vector<int32_t>>& samples) {
        Json answers = Json::array();
        for (const std::vector<int32_t>& ids : samples) {
          answers.push_back(ExtractAnswer(run.tokenizer, ids));
        }
        run.log.Add(task, missing[prompt], {{"answers", std::move(answers)}});
        ++done;
        progress.Update(done, static_cast<double>(done - done_before), "");
        return !run.stop.requested();
      },
      [&run] { return run.stop.requested(); });
  if (done < total) StopIfAsked(run);
}

std::vector<std::string> ReadAnswers(const EvalRun& run, int64_t task, int64_t example) {
  const JsonObject object(*run.log.Find(task, example), run.flags.resume);
  std::vector<std::string> answers;
  for (const Json& answer : object.Array("answers")) {
    if (!answer.is_string()) object.Fail("answers", "an array of strings");
    answers.push_back(answer.get<std::string>());
  }
  if (std::ssize(answers) != SamplesDrawn(run.flags)) {
    object.Fail("answers", std::to_string(SamplesDrawn(run.flags)) + " answers");
  }
  return answers;
}

OrderedJson DiversityJson(const Diversity& diversity) {
  return {{"distinct_1", diversity.distinct[0]},      {"distinct_2", diversity.distinct[1]},
          {"distinct_3", diversity.distinct[2]},      {"self_bleu", diversity.self_bleu},
          {"edit_distance", diversity.edit_distance}, {"unique", diversity.unique}};
}

}  // namespace

OrderedJson RunQa(EvalRun& run, int64_t task, const std::string& file) {
  const EvalFlags& flags = run.flags;
  const ModelConfig& config = run.engine.model.config();
  const Activation& activation = run.engine.activation;
  const Questions questions = ReadQuestions(flags, file);
  const SamplingOptions options = {
      .samples = SamplesDrawn(flags),
      .max_tokens = flags.max_tokens,
      .sampler = flags.sampler,
      .activation = activation,
      .prompt_activation = PromptActivation(activation, config.activation, flags.draw_prompt),
      .stops = AnswerEnds(run.tokenizer, config.eos_token_ids, config.vocab_size)};
  AnswerMissing(run, task, questions, options);

  std::vector<std::vector<std::string>> samples;
  samples.reserve(questions.asked.size());
  for (int64_t i = 0; i < std::ssize(questions.asked); ++i) {
    samples.push_back(ReadAnswers(run, task, std::ssize(questions.shots) + i));
  }
  const QuestionSummary summary = SummarizeQuestions(questions.asked, samples, flags.samples);
  OrderedJson best_of = OrderedJson::array();
  for (const BestOf& best : summary.best_of) {
    OrderedJson row = {{"n", best.n}};
    AddMean(&row, "exact_match", best.exact_match);
    AddMean(&row, "f1", best.f1);
    AddMean(&row, "majority_exact_match", best.majority_exact_match);
    AddMean(&row, "majority_f1", best.majority_f1);
    best_of.push_back(std::move(row));
  }
  OrderedJson json = {{"examples", questions.asked.size()},
                      {"shots", flags.shots},
                      {"temperature", flags.sampler.temperature},
                      {"max_tokens", flags.max_tokens},
                      {"prompt_activation", ToString(options.prompt_activation)},
                      {"best_of", std::move(best_of)}};
  if (summary.diversity) json["diversity"] = DiversityJson(*summary.diversity);
  return json;
}

}  // namespace stocha
