// Runs a fuzz target without libFuzzer: every seed as it is, then fixed mutations of it, the same
// in every run and on every machine.
//
// Usage: fuzz_x MUTATIONS SEED...    (files, or folders, which are searched)
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;

struct Seed {
  fs::path path;
  std::string content;
};

std::vector<Seed> ReadSeeds(const std::vector<fs::path>& roots) {
  std::vector<fs::path> paths;
  for (const fs::path& root : roots) {
    if (!fs::is_directory(root)) {
      paths.push_back(root);
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_regular_file()) paths.push_back(entry.path());
    }
  }
  std::ranges::sort(paths);
  std::vector<Seed> seeds;
  for (const fs::path& path : paths) {
    std::ifstream file(path, std::ios::binary);
    seeds.push_back({path, std::string(std::istreambuf_iterator<char>(file), {})});
  }
  return seeds;
}

// What parsers of JSON, TOML and binary headers trip over.
constexpr std::array<std::string_view, 20> kFragments = {
    "{",    "}",  "[",        "]",           "[[[[[[[[", "\"",  "\\",         ",",
    ":",    "-",  "0",        "-1",          "1e999",    "1.5", "4294967296", "9223372036854775808",
    "null", "\n", "\xff\xfe", "\xed\xa0\x80"};

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  // One to four changes; `other` is another seed, to splice from.
  std::string Mutate(std::string text, std::string_view other) {
    const size_t changes = 1 + Below(4);
    for (size_t i = 0; i < changes; ++i) Change(&text, other);
    return text;
  }

 private:
  size_t Below(size_t bound) { return bound == 0 ? 0 : static_cast<size_t>(random_() % bound); }

  void Change(std::string* text, std::string_view other) {
    const size_t at = Below(text->size());
    const size_t length = Below(std::min<size_t>(text->size() - at, 64));
    switch (Below(7)) {
      case 0:
        text->resize(at);
        break;
      case 1:
        if (!text->empty()) (*text)[at] = static_cast<char>((*text)[at] ^ (1 << Below(8)));
        break;
      case 2:
        if (!text->empty()) (*text)[at] = static_cast<char>(Below(256));
        break;
      case 3:
        text->erase(at, length);
        break;
      case 4:
        text->insert(at, text->substr(at, length));
        break;
      case 5:
        text->replace(at, length, kFragments[Below(kFragments.size())]);
        break;
      default:
        text->replace(at, length, other.substr(Below(other.size()), Below(64)));
        break;
    }
  }

  std::mt19937_64 random_;
};

int Replay(size_t mutations, const std::vector<Seed>& seeds) {
  for (size_t s = 0; s < seeds.size(); ++s) {
    // Said beforehand: after a crash, the last line names the seed.
    std::fprintf(stderr, "%s, %zu mutations\n", seeds[s].path.c_str(), mutations);
    Mutator mutator(s);
    for (size_t m = 0; m <= mutations; ++m) {
      const std::string& other = seeds[(s + m) % seeds.size()].content;
      const std::string text = m == 0 ? seeds[s].content : mutator.Mutate(seeds[s].content, other);
      // A copy of exactly this size lets AddressSanitizer see a read past the end.
      const std::vector<uint8_t> input(text.begin(), text.end());
      try {
        LLVMFuzzerTestOneInput(input.data(), input.size());
      } catch (const std::exception& error) {
        std::fprintf(stderr, "mutation %zu: uncaught exception: %s\n", m, error.what());
        return 1;
      }
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t mutations = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 0;
  const std::vector<Seed> seeds = ReadSeeds({argv + std::min(argc, 2), argv + argc});
  if (seeds.empty()) {
    std::fprintf(stderr, "usage: %s MUTATIONS SEED...: no seeds there\n", argv[0]);
    return 2;
  }
  return Replay(mutations, seeds);
}
