// The folder of one experiment:
//
//   OUTPUT/text/         [text] as shards, and text.json: what they were made from
//   OUTPUT/runs/NAME/    one training run (train/run_folder.h)
//   OUTPUT/runs/NAME.toml, NAME.log    its recipe; what the trainer printed
//   OUTPUT/results.json  results.h
//   OUTPUT/report.html, plots/*.svg    experiment_report.h
//
// One process at a time: the folder is locked (flock) as long as an ExperimentFolder lives.
#ifndef STOCHA_EXPERIMENT_EXPERIMENT_FOLDER_H_
#define STOCHA_EXPERIMENT_EXPERIMENT_FOLDER_H_

#include <filesystem>
#include <string>

#include "stocha/recipe/recipe.h"

namespace stocha {

class ExperimentFolder {
 public:
  // Makes the folder. Throws Error when it holds something else than an experiment, or another
  // process has it.
  explicit ExperimentFolder(const std::filesystem::path& path);
  ~ExperimentFolder();
  ExperimentFolder(const ExperimentFolder&) = delete;
  ExperimentFolder& operator=(const ExperimentFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  static std::filesystem::path Text(const std::filesystem::path& path) { return path / "text"; }
  std::filesystem::path text() const { return Text(path_); }
  std::filesystem::path results() const { return path_ / "results.json"; }
  std::filesystem::path report() const { return path_ / "report.html"; }
  std::filesystem::path plots() const { return path_ / "plots"; }
  std::filesystem::path run(const std::string& name) const { return path_ / "runs" / name; }
  std::filesystem::path recipe(const std::string& name) const;
  std::filesystem::path log(const std::string& name) const;

  // Writes the run's recipe. Throws Error when the run was started with another.
  void KeepRecipe(const std::string& name, const Recipe& recipe) const;

 private:
  std::filesystem::path path_;
  int lock_ = -1;
};

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_EXPERIMENT_FOLDER_H_
