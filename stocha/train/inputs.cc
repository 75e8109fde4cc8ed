#include "stocha/train/inputs.h"

#include <string>
#include <utility>

#include "stocha/base/error.h"
#include "stocha/model/tokenizer.h"

namespace stocha {
namespace {

// The part of a config that the weights were trained for; the rest may change from run to run.
ModelConfig Shape(ModelConfig config) {
  config.max_position_embeddings = 0;
  config.dtype = DType::kF32;
  config.activation = {};
  config.bos_token_id.reset();
  config.eos_token_ids.clear();
  return config;
}

// Where generation should stop: every shard ends with the end-of-text token, when there is one.
std::vector<int64_t> EndOfText(const TokenShard& shard, const std::string& tokenizer) {
  if (tokenizer.empty() || shard.size() == 0) return {};
  int32_t last = 0;
  shard.Read(shard.size() - 1, {&last, 1});
  if (!Tokenizer::FromFile(tokenizer).IsSpecial(last)) return {};
  return {last};
}

// Gates are silenced by the engine alone: training would pass over the thresholds.
Checkpoint OpenForTraining(const std::string& folder) {
  Checkpoint checkpoint = OpenCheckpoint(folder);
  if (checkpoint.config.thresholds.empty()) return checkpoint;
  throw Error({.where = folder,
               .what = "its neurons fire above thresholds, which training does not compute",
               .hint = "take the model that `stocha calibrate` made it of"});
}

}  // namespace

TrainingInputs::TrainingInputs(Recipe recipe, const Checkpoint* resumed)
    : recipe_(std::move(recipe)), train_shards_(OpenShards(recipe_.train)) {
  if (!recipe_.validation.empty()) validation_shards_ = OpenShards(recipe_.validation);
  if (resumed == nullptr && !recipe_.init_from.empty()) init_ = OpenForTraining(recipe_.init_from);
  if (!recipe_.teacher.empty()) teacher_ = OpenForTraining(recipe_.teacher);
  CompleteTokenizer();
  CompleteModel(resumed);
  CheckModel();
  if (teacher_) CheckTeacher();
  train_.emplace(train_shards_, recipe_.sequence_length, recipe_.seed);
  if (!validation_shards_.empty()) {
    validation_.emplace(validation_shards_, recipe_.sequence_length, recipe_.seed);
  }
}

void TrainingInputs::CompleteTokenizer() {
  if (recipe_.tokenizer.empty() && init_ && init_->has_tokenizer()) {
    recipe_.tokenizer = init_->tokenizer_path().string();
  }
  const auto check = [](const TokenizerDigest& expected, const TokenizerDigest& got,
                        const std::string& where, const std::string& what) {
    if (expected == got) return;
    throw Error({.where = where,
                 .what = "made with another tokenizer than " + what,
                 .hint = "make both with the same tokenizer.json: stocha tokenize"});
  };
  const TokenizerDigest& digest = train_shards_[0].tokenizer();
  if (!recipe_.tokenizer.empty()) {
    check(DigestTokenizer(recipe_.tokenizer), digest, recipe_.train[0], recipe_.tokenizer);
  }
  if (!validation_shards_.empty()) {
    check(digest, validation_shards_[0].tokenizer(), recipe_.validation[0], recipe_.train[0]);
  }
}

void TrainingInputs::CompleteModel(const Checkpoint* resumed) {
  if (resumed != nullptr) {
    recipe_.model = resumed->config;
    return;
  }
  if (init_ && recipe_.model == ModelConfig{}) {
    recipe_.model = init_->config;
    return;
  }
  if (recipe_.model.vocab_size == 0) recipe_.model.vocab_size = train_shards_[0].vocab_size();
  if (!init_) {
    recipe_.model.eos_token_ids = EndOfText(train_shards_[0], recipe_.tokenizer);
    return;
  }
  if (Shape(recipe_.model) != Shape(init_->config)) {
    throw Error({.where = recipe_.init_from,
                 .what = "the model has another shape than the recipe's [model]",
                 .hint = "leave out the shape in [model] to take that of init_from"});
  }
  recipe_.model.bos_token_id = init_->config.bos_token_id;
  recipe_.model.eos_token_ids = init_->config.eos_token_ids;
}

void TrainingInputs::CheckModel() const {
  const int64_t vocab_size = train_shards_[0].vocab_size();
  if (vocab_size > recipe_.model.vocab_size) {
    throw Error({.where = recipe_.train[0],
                 .what = "more token ids than the model has",
                 .got = std::to_string(vocab_size),
                 .expected = "at most vocab_size " + std::to_string(recipe_.model.vocab_size)});
  }
  if (recipe_.sequence_length > recipe_.model.max_position_embeddings) {
    throw Error({.where = "data.sequence_length",
                 .what = "exceeds the model's max_position_embeddings",
                 .got = std::to_string(recipe_.sequence_length),
                 .expected = "at most " + std::to_string(recipe_.model.max_position_embeddings)});
  }
}

void TrainingInputs::CheckTeacher() const {
  const auto fail = [&](const std::string& what, const std::string& got, std::string expected) {
    throw Error({.where = recipe_.teacher,
                 .what = what,
                 .got = got,
                 .expected = std::move(expected),
                 .hint = "a teacher that always fits is the model of init_from"});
  };
  const ModelConfig& teacher = teacher_->config;
  const ModelConfig& model = recipe_.model;
  if (teacher.vocab_size != model.vocab_size) {
    fail("the teacher has another vocabulary", std::to_string(teacher.vocab_size),
         "the model's vocab_size " + std::to_string(model.vocab_size));
  }
  if (teacher_->has_tokenizer() &&
      DigestTokenizer(teacher_->tokenizer_path()) != train_shards_[0].tokenizer()) {
    fail("the teacher has another tokenizer than the data", teacher_->tokenizer_path().string(),
         "the one that made " + recipe_.train[0]);
  }
  if (teacher.max_position_embeddings < recipe_.sequence_length) {
    fail("the teacher's max_position_embeddings is too small",
         std::to_string(teacher.max_position_embeddings),
         "at least data.sequence_length " + std::to_string(recipe_.sequence_length));
  }
  const auto layers = [](const ModelConfig& config) {
    return "num_hidden_layers " + std::to_string(config.num_hidden_layers) + ", hidden_size " +
           std::to_string(config.hidden_size);
  };
  const bool by_layers = recipe_.layerwise_until > 0 || recipe_.fit_tokens > 0;
  if (by_layers && layers(teacher) != layers(model)) {
    fail("layer by layer, the teacher must have the model's layers", layers(teacher),
         layers(model));
  }
}

}  // namespace stocha
