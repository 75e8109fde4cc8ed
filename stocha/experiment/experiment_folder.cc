#include "stocha/experiment/experiment_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "stocha/base/error.h"
#include "stocha/base/file.h"

namespace stocha {

namespace fs = std::filesystem;

ExperimentFolder::ExperimentFolder(const fs::path& path) : path_(path) {
  std::error_code error;
  const bool blank = !fs::exists(path_, error) || fs::is_empty(path_, error);
  if (!blank && !fs::is_directory(path_ / "runs", error) && !fs::exists(results(), error)) {
    throw Error({.where = path_.string(),
                 .what = "neither empty nor the folder of an experiment",
                 .hint = "choose another with --output"});
  }
  MakeDirectories(path_ / "runs");
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  // A file system without locks is no reason not to run.
  if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(lock_);
  throw Error({.where = path_.string(),
               .what = "another process runs an experiment in this folder",
               .hint = "wait for it, or choose another with --output"});
}

ExperimentFolder::~ExperimentFolder() {
  if (lock_ >= 0) close(lock_);
}

fs::path ExperimentFolder::recipe(const std::string& name) const {
  return path_ / "runs" / (name + ".toml");
}

fs::path ExperimentFolder::log(const std::string& name) const {
  return path_ / "runs" / (name + ".log");
}

void ExperimentFolder::KeepRecipe(const std::string& name, const Recipe& recipe) const {
  const fs::path file = this->recipe(name);
  const std::string text = RecipeToToml(recipe);
  std::error_code error;
  if (!fs::exists(file, error)) return WriteFile(file, text);
  if (ReadFile(file) == text) return;
  throw Error({.where = file.string(),
               .what = "the run was started with another recipe than it would have now",
               .hint = "choose another --output, or remove this file and the run's folder"});
}

}  // namespace stocha
