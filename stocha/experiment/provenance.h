// What results came from: the machine, the program's commit, the files.
#ifndef STOCHA_EXPERIMENT_PROVENANCE_H_
#define STOCHA_EXPERIMENT_PROVENANCE_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

namespace stocha {

// {"cpu": .., "cores": ..}
nlohmann::ordered_json MachineFacts();

// HEAD of the repository that holds `file`, with "-dirty" where tracked files differ from it; empty
// outside a repository or without git.
std::string CommitOf(const std::filesystem::path& file);

}  // namespace stocha

#endif  // STOCHA_EXPERIMENT_PROVENANCE_H_
