// The recipe that turns a model trained with SiLU into one that computes ReLU: defaults that need
// no thought, and what the user puts in their place.
//
// The model itself as it was is the teacher: of each feed-forward layer, whose output is fitted in
// closed form or learnt layer by layer, and of the distributions of the next token.
#ifndef STOCHA_RELUFY_RELUFY_H_
#define STOCHA_RELUFY_RELUFY_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "stocha/model/config.h"
#include "stocha/recipe/recipe.h"

namespace stocha {

// What the model teaches itself.
enum class RelufyTeacher : uint8_t {
  kNone,
  kLayers,  // feed-forward outputs
  kKl,      // distributions of the next token
  kBoth,
};

struct RelufyOptions {
  std::filesystem::path model;  // a model directory
  RelufyTeacher teacher = RelufyTeacher::kBoth;
  int64_t tokens = 0;                      // to train on; 0: what the recipe says in training.steps
  std::string train;                       // token shards or a folder of them; empty: the recipe's
  std::string conversations;               // likewise, beside `train`; may be empty
  std::string validation;                  // likewise; empty: the recipe's
  std::filesystem::path recipe;            // keys that replace the defaults; may be empty
  std::span<const std::string> overrides;  // "table.key=value", which replace both
};

// The recipe as text, with the keys that a user may want to change and why they are what they are.
std::string_view RelufyDefaults();

// The whole recipe for a model of `config`: RelufyDefaults, the user's recipe and overrides over
// it, the model and its teacher. Throws Error when any is at fault, or the result would end with an
// activation that is not sparse.
Recipe MakeRelufyRecipe(const RelufyOptions& options, const ModelConfig& config);

// Throws Error, saying what to do, unless the model in `folder` computes an activation that lets
// every neuron fire and has a tokenizer.
ModelConfig CheckRelufiable(const std::filesystem::path& folder);

}  // namespace stocha

#endif  // STOCHA_RELUFY_RELUFY_H_
