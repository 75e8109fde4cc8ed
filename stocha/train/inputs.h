// What a recipe names, opened and checked against each other before a run starts: token shards,
// tokenizer, the checkpoint to start from, and the model's shape that follows from them.
#ifndef STOCHA_TRAIN_INPUTS_H_
#define STOCHA_TRAIN_INPUTS_H_

#include <optional>
#include <vector>

#include "stocha/data/batch_order.h"
#include "stocha/data/token_shard.h"
#include "stocha/model/checkpoint.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

class TrainingInputs {
 public:
  // `resumed`: the checkpoint that the run continues from, or null; with it init_from is not
  // opened, as it may be gone. Throws Error when something is missing or two things contradict each
  // other.
  TrainingInputs(Recipe recipe, const Checkpoint* resumed);
  TrainingInputs(const TrainingInputs&) = delete;  // the orders borrow the shards
  TrainingInputs& operator=(const TrainingInputs&) = delete;

  // Complete: the model and the tokenizer filled in from what the recipe names.
  const Recipe& recipe() const { return recipe_; }
  const std::optional<Checkpoint>& init() const { return init_; }
  const std::optional<Checkpoint>& teacher() const { return teacher_; }
  const BatchOrder& train() const { return *train_; }
  const BatchOrder* validation() const { return validation_ ? &*validation_ : nullptr; }

 private:
  void CompleteTokenizer();
  void CompleteModel(const Checkpoint* resumed);
  void CheckModel() const;
  void CheckTeacher() const;

  Recipe recipe_;
  std::vector<TokenShard> train_shards_, validation_shards_;
  std::optional<Checkpoint> init_, teacher_;
  std::optional<BatchOrder> train_, validation_;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_INPUTS_H_
