// Byte pair encoding of one piece of text: its bytes become tokens, and of all neighbours the pair
// with the lowest rank is merged, the leftmost first, until no pair is left that has a rank.
//
// Candidates wait in a heap over a linked list, so that n bytes take O(n log n) whatever they are.
#ifndef STOCHA_MODEL_BPE_H_
#define STOCHA_MODEL_BPE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace stocha {

// Hashes std::string and std::string_view alike, for look-ups without a copy.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};
template <typename Value>
using StringMap = std::unordered_map<std::string, Value, StringHash, std::equal_to<>>;

// Pairs of token ids with the rank of their merge and the id it gives; an open hash table.
class MergeTable {
 public:
  struct Merge {
    uint32_t rank;
    int32_t result;
  };

  explicit MergeTable(size_t count);  // room for so many pairs

  // Replaces what the pair had. All ids are >= 0.
  void Insert(int32_t left, int32_t right, Merge merge);
  const Merge* Find(int32_t left, int32_t right) const;  // nullptr: the pair is not merged

 private:
  struct Slot {
    uint64_t key;
    Merge merge;
  };
  size_t SlotOf(uint64_t key) const;

  std::vector<Slot> slots_;  // [power of two]
};

// Immutable and thread-safe.
struct BytePairModel {
  static constexpr int32_t kNoToken = -1;

  std::array<int32_t, 256> byte_tokens;  // kNoToken: the byte is unknown
  MergeTable merges;
  // "ignore_merges": a piece that is a token as a whole is that token, whatever the merges say.
  StringMap<int32_t> whole_pieces;
  std::optional<int32_t> unknown;  // stands for unknown bytes; without it they vanish
  bool fuse_unknown = false;       // one for all unknown bytes in a row
};

// What one thread needs to encode pieces: memory, and the pieces seen before. Borrows the model.
class BytePairEncoder {
 public:
  explicit BytePairEncoder(const BytePairModel& model) : model_(&model) {}

  // Appends the ids of `piece` to `ids`. Throws Error when it has 2^31 bytes or more.
  void Encode(std::string_view piece, std::vector<int32_t>* ids);

 private:
  struct Symbol {
    int32_t token;  // kNoToken: merged into the one before
    int32_t previous;
    int32_t next;  // kNone at the ends
  };
  struct Candidate {
    uint32_t rank;
    int32_t position;  // of the left symbol
    int32_t result;
    friend bool operator<(const Candidate& a,
                          const Candidate& b) {  // the top of a heap is its last
      return a.rank != b.rank ? a.rank > b.rank : a.position > b.position;
    }
  };
  struct IdRange {
    size_t begin;
    size_t count;
  };
  static constexpr int32_t kNone = -1;

  void SetSymbols(std::string_view piece);
  void MergeSymbols();
  void AddCandidate(int32_t position);

  const BytePairModel* model_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_;
  StringMap<IdRange> seen_;  // into seen_ids_
  std::vector<int32_t> seen_ids_;
};

}  // namespace stocha

#endif  // STOCHA_MODEL_BPE_H_
