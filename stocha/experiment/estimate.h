// What an experiment will take, before it is started.
#ifndef STOCHA_EXPERIMENT_ESTIMATE_H_
#define STOCHA_EXPERIMENT_ESTIMATE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "stocha/experiment/experiment.h"

namespace stocha {

struct GroupEstimate {
  std::string setting;
  std::string arm;
  size_t runs = 0;
  int64_t parameters = 0;
  int64_t tokens = 0;       // a run
  double tokens_per_s = 0;  // of a few steps on this machine, as busy as it is
  double hours = 0;         // of all its runs, without validation

  double tokens_a_parameter() const;
};

// A few steps are made of the first arm at each setting, whose speed stands for those of the others
// that have the same teaching. `probe_steps` of them; 0: none, and speeds and hours are 0. Throws
// Error when the trainer cannot make them.
std::vector<GroupEstimate> Estimate(const Experiment& experiment,
                                    const std::filesystem::path& trainer, int64_t probe_steps);

std::string ToText(const std::vector<GroupEstimate>& estimates);
std::string ToJson(const std::vector<GroupEstimate>& estimates);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_ESTIMATE_H_
