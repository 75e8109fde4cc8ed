// The folder of one run:
//
//   RUN/recipe.toml    complete, every key written out
//   RUN/metrics.jsonl  report/metrics.h
//   RUN/checkpoints/   training_state.h
//   RUN/final/         the exported model, once the run is finished
//
// One process at a time: the folder is locked (flock) as long as a RunFolder lives.
#ifndef STOCHA_TRAIN_RUN_FOLDER_H_
#define STOCHA_TRAIN_RUN_FOLDER_H_

#include <filesystem>
#include <string_view>

namespace stocha {

class RunFolder {
 public:
  // Creates nothing yet. With `resume` the folder may hold a run, and what a killed process left
  // half-written is removed. Throws Error when it holds anything without `resume`, holds something
  // else than a run, or another process trains in it.
  RunFolder(std::filesystem::path path, bool resume);

  // Creates the folder and writes recipe.toml.
  void Create(std::string_view recipe_toml);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path metrics() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path final_model() const { return path_ / "final"; }

 private:
  std::filesystem::path recipe() const { return path_ / "recipe.toml"; }

  // An flock on a folder, given up when destroyed.
  class Lock {
   public:
    Lock() = default;
    ~Lock();
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;
    // Throws Error when another process has it.
    void Take(const std::filesystem::path& folder);

   private:
    int fd_ = -1;
  };

  std::filesystem::path path_;
  Lock lock_;
};

}  // namespace stocha

#endif  // STOCHA_TRAIN_RUN_FOLDER_H_
