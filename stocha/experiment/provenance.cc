#include "stocha/experiment/provenance.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <cstdio>
#include <memory>

#include "stocha/bench/machine.h"

namespace stocha {
namespace {

// For a shell: in single quotes, each one within closed, escaped and opened again.
std::string Quote(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

nlohmann::ordered_json MachineFacts() {
  const Machine machine = DescribeMachine(SelectedIsa());
  return {{"cpu", machine.cpu}, {"cores", machine.cores}, {"isa", machine.isa}};
}

std::string CommitOf(const std::filesystem::path& file) {
  const std::string command =
      fmt::format("git -C {} describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null",
                  Quote(file.parent_path().string()));
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::array<char, 128> line{};
  if (!pipe || std::fgets(line.data(), line.size(), pipe.get()) == nullptr) return "";
  std::string commit = line.data();
  while (!commit.empty() && std::isspace(static_cast<unsigned char>(commit.back())) != 0) {
    commit.pop_back();
  }
  return commit;
}

}  // namespace stocha
