#include "stocha/train/random_tokens.h"

#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>

namespace stocha {
namespace {

namespace fs = std::filesystem;

std::vector<TokenShard> WriteAndMap(int64_t vocab_size, int64_t tokens) {
  const fs::path path =
      fs::temp_directory_path() / ("stocha-random-" + std::to_string(getpid()) + ".tokens");
  std::mt19937 generator(1);
  std::uniform_int_distribution<int32_t> id(0, static_cast<int32_t>(vocab_size - 1));
  std::vector<int32_t> ids(tokens);
  for (int32_t& token : ids) token = id(generator);
  TokenShardWriter writer(path, static_cast<uint32_t>(vocab_size), TokenizerDigest{});
  writer.Append(ids, static_cast<uint64_t>(tokens));
  writer.Commit();
  const std::string name = path.string();
  std::vector<TokenShard> shards = OpenShards({&name, 1});
  fs::remove(path);
  return shards;
}

}  // namespace

RandomTokens::RandomTokens(const Recipe& recipe, int64_t sequences)
    : shards_(WriteAndMap(recipe.model.vocab_size, sequences * recipe.sequence_length + 1)),
      order_(shards_, recipe.sequence_length, recipe.seed) {}

}  // namespace stocha
