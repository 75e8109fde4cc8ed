#include "stocha/model/bpe.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "stocha/base/error.h"

namespace stocha {
namespace {

constexpr uint64_t kEmptyKey = std::numeric_limits<uint64_t>::max();  // no pair of ids >= 0

// Words repeat, long pieces do not.
constexpr size_t kMaxSeenBytes = 64;
constexpr size_t kMaxSeenPieces = size_t{1} << 17;

uint64_t PairKey(int32_t left, int32_t right) {
  return uint64_t{static_cast<uint32_t>(left)} << 32 | static_cast<uint32_t>(right);
}

}  // namespace

MergeTable::MergeTable(size_t count)
    : slots_(std::bit_ceil(2 * count + 1), {.key = kEmptyKey, .merge = {}}) {}

// The slot that holds `key`, or the empty one where it would go.
size_t MergeTable::SlotOf(uint64_t key) const {
  uint64_t hash = key * 0x9E3779B97F4A7C15;  // 2^64 / golden ratio
  hash = (hash ^ hash >> 32) * 0x9E3779B97F4A7C15;
  size_t slot = (hash >> 32) & (slots_.size() - 1);
  while (slots_[slot].key != key && slots_[slot].key != kEmptyKey) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  return slot;
}

void MergeTable::Insert(int32_t left, int32_t right, Merge merge) {
  const uint64_t key = PairKey(left, right);
  slots_[SlotOf(key)] = {key, merge};
}

const MergeTable::Merge* MergeTable::Find(int32_t left, int32_t right) const {
  const Slot& slot = slots_[SlotOf(PairKey(left, right))];
  return slot.key == kEmptyKey ? nullptr : &slot.merge;
}

void BytePairEncoder::Encode(std::string_view piece, std::vector<int32_t>* ids) {
  if (piece.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max())) {
    throw Error({.what = "text without a place to split it",
                 .got = std::to_string(piece.size()) + " bytes",
                 .expected = "less than 2 GiB"});
  }
  if (const auto whole = model_->whole_pieces.find(piece); whole != model_->whole_pieces.end()) {
    ids->push_back(whole->second);
    return;
  }
  if (const auto seen = seen_.find(piece); seen != seen_.end()) {
    const auto begin = seen_ids_.begin() + static_cast<ptrdiff_t>(seen->second.begin);
    ids->insert(ids->end(), begin, begin + static_cast<ptrdiff_t>(seen->second.count));
    return;
  }
  SetSymbols(piece);
  MergeSymbols();
  const size_t before = ids->size();
  for (const Symbol& symbol : symbols_) {
    if (symbol.token != BytePairModel::kNoToken) ids->push_back(symbol.token);
  }
  if (piece.size() <= kMaxSeenBytes && seen_.size() < kMaxSeenPieces) {
    seen_.emplace(piece, IdRange{seen_ids_.size(), ids->size() - before});
    seen_ids_.insert(seen_ids_.end(), ids->begin() + static_cast<ptrdiff_t>(before), ids->end());
  }
}

void BytePairEncoder::SetSymbols(std::string_view piece) {
  symbols_.clear();
  bool after_unknown = false;
  for (const char byte : piece) {
    int32_t token = model_->byte_tokens[static_cast<uint8_t>(byte)];
    const bool unknown = token == BytePairModel::kNoToken;
    if (unknown && (!model_->unknown || (after_unknown && model_->fuse_unknown))) continue;
    if (unknown) token = *model_->unknown;
    after_unknown = unknown;
    const auto position = static_cast<int32_t>(symbols_.size());
    symbols_.push_back({token, position - 1, position + 1});
  }
  if (!symbols_.empty()) symbols_.back().next = kNone;
}

void BytePairEncoder::AddCandidate(int32_t position) {
  const Symbol& left = symbols_[static_cast<size_t>(position)];
  if (left.next == kNone) return;
  const Symbol& right = symbols_[static_cast<size_t>(left.next)];
  if (const MergeTable::Merge* merge = model_->merges.Find(left.token, right.token)) {
    heap_.push_back({merge->rank, position, merge->result});
  }
}

void BytePairEncoder::MergeSymbols() {
  heap_.clear();
  for (size_t i = 0; i < symbols_.size(); ++i) AddCandidate(static_cast<int32_t>(i));
  std::make_heap(heap_.begin(), heap_.end());
  const auto add = [this](int32_t position) {
    const size_t before = heap_.size();
    AddCandidate(position);
    if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end());
  };
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end());
    const Candidate top = heap_.back();
    heap_.pop_back();
    Symbol& left = symbols_[static_cast<size_t>(top.position)];
    if (left.token == BytePairModel::kNoToken || left.next == kNone) continue;
    Symbol& right = symbols_[static_cast<size_t>(left.next)];
    // Out of date unless the pair there now gives the same token, as `tokenizers` has it.
    const MergeTable::Merge* merge = model_->merges.Find(left.token, right.token);
    if (merge == nullptr || merge->result != top.result) continue;

    left.token = top.result;
    left.next = right.next;
    right.token = BytePairModel::kNoToken;
    if (left.next != kNone) symbols_[static_cast<size_t>(left.next)].previous = top.position;
    if (left.previous != kNone) add(left.previous);
    add(top.position);
  }
}

}  // namespace stocha
