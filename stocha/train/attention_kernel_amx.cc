// The attention kernel by AMX-BF16. No STL: an inline function of it compiled here could be the
// copy that the linker keeps, and would run on machines without the instructions.
#include <immintrin.h>

#include "stocha/train/attention_kernel.h"

namespace stocha {
namespace {

#include "stocha/train/amx_blocks.inc"

constexpr int64_t kKeyGroup = 8;  // blocks of keys whose score gradients are kept at a time
constexpr float kLog2E = 1.4426950408889634f;

inline int64_t Least(int64_t a, int64_t b) { return a < b ? a : b; }

// Scratch in pieces; of nullptr, the count of bytes alone.
class Pieces {
 public:
  explicit Pieces(void* scratch) : start_(static_cast<char*>(scratch)) {}
  uint16_t* Blocks(int64_t count) { return static_cast<uint16_t*>(Next(2 * count * kBlockValues)); }
  float* SumBlocks(int64_t count) { return static_cast<float*>(Next(4 * count * kBlockValues)); }
  float* Floats(int64_t count) { return static_cast<float*>(Next(4 * count)); }
  size_t bytes() const { return bytes_; }

 private:
  void* Next(size_t bytes) {
    char* piece = start_ == nullptr ? nullptr : start_ + bytes_;
    bytes_ += (bytes + 63) / 64 * 64;
    return piece;
  }
  char* start_;
  size_t bytes_ = 0;
};

struct Sizes {
  explicit Sizes(const AttentionHead& head)
      : parts((head.sequence + kBlock - 1) / kBlock), depth(head.head_dim / kBlock) {}
  int64_t parts;  // blocks of the sequence
  int64_t depth;  // of a head
};

// 2^t, within 3e-6 of it; 2^-120 below that. NaN for NaN.
inline __m512 PowerOfTwo(__m512 t) {
  t = _mm512_max_ps(_mm512_set1_ps(-120.0f), t);
  const __m512 whole = _mm512_roundscale_ps(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(t, whole);
  __m512 y = _mm512_set1_ps(1.3333558e-3f);
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(9.6181291e-3f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(5.5504109e-2f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(2.4022651e-1f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(6.9314718e-1f));
  y = _mm512_fmadd_ps(y, r, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(y, whole);
}

// Rows [part * 32, ...) and columns [column * 32, ...) of [sequence, head_dim].
inline MatrixPart PartOf(const AttentionHead& head, const uint16_t* matrix, int64_t stride,
                         int64_t part, int64_t column) {
  return {.values = matrix + part * kBlock * stride + column * kBlock,
          .stride = stride,
          .rows = head.sequence - part * kBlock,
          .columns = kBlock};
}

enum class As : uint8_t { kLeft, kRight, kRightTransposed };

// A matrix [sequence, head_dim]. kRight: [depth][part] blocks, products sum over the sequence; else
// [part][depth], they sum over the head.
template <As kAs>
void Pack(const AttentionHead& head, const uint16_t* matrix, int64_t stride, uint16_t* blocks) {
  const Sizes sizes(head);
  for (int64_t part = 0; part < sizes.parts; ++part) {
    for (int64_t column = 0; column < sizes.depth; ++column) {
      const MatrixPart from = PartOf(head, matrix, stride, part, column);
      if constexpr (kAs == As::kRight) {
        PackRight(from, blocks + (column * sizes.parts + part) * kBlockValues);
      } else if constexpr (kAs == As::kRightTransposed) {
        PackRightTransposed(from, blocks + (part * sizes.depth + column) * kBlockValues);
      } else {
        PackLeft(from, blocks + (part * sizes.depth + column) * kBlockValues);
      }
    }
  }
}

// Row `row` of a block of sums, times `scale`, as 32 values of bfloat16.
inline __m512i RowOfSums(const float* sums, int64_t row, float scale) {
  const float* values = sums + SumsOfRow(row);
  return ToBF16(_mm512_mul_ps(_mm512_load_ps(values), _mm512_set1_ps(scale)),
                _mm512_mul_ps(_mm512_load_ps(values + kTileSums), _mm512_set1_ps(scale)));
}

void StoreSums(const AttentionHead& head, const float* sums, uint16_t* matrix, int64_t part,
               int64_t column) {
  const int64_t rows = Least(kBlock, head.sequence - part * kBlock);
  uint16_t* to = matrix + part * kBlock * head.head_dim + column * kBlock;
  for (int64_t row = 0; row < rows; ++row) {
    _mm512_storeu_si512(to + row * head.head_dim, RowOfSums(sums, row, 1));
  }
}

float ScoreScale(const AttentionHead& head) {
  return 1.0f / __builtin_sqrtf(static_cast<float>(head.head_dim));
}

struct ForwardScratch {
  ForwardScratch(const Sizes& sizes, Pieces& pieces)
      : keys(pieces.Blocks(sizes.parts * sizes.depth)),
        values(pieces.Blocks(sizes.parts * sizes.depth)),
        queries(pieces.Blocks(sizes.parts * sizes.depth)),
        probabilities(pieces.Blocks(sizes.parts)),
        scores(pieces.SumBlocks(sizes.parts)),
        mixed(pieces.SumBlocks(1)) {}
  uint16_t* keys;    // right, transposed
  uint16_t* values;  // right
  uint16_t* queries;
  uint16_t* probabilities;  // left, of one part of the queries
  float* scores;            // likewise
  float* mixed;
};

// Row `row` of the scores of query part `part`: 2^(scale * score - largest) as left blocks.
// Returns 1 / their sum, and the log2 of that in *log_sum.
float SoftmaxRow(const float* scores, int64_t part, int64_t row, float scale,
                 uint16_t* probabilities, float* log_sum) {
  scores += SumsOfRow(row);
  const __mmask32 up_to_itself = LowBits(row + 1);
  const auto valid = [&](int64_t j) { return j < part ? ~__mmask32{0} : up_to_itself; };
  __m512 largest = _mm512_set1_ps(-__builtin_inff());
  for (int64_t j = 0; j <= part; ++j) {
    const float* s = scores + j * kBlockValues;
    largest =
        _mm512_mask_max_ps(largest, static_cast<__mmask16>(valid(j)), largest, _mm512_load_ps(s));
    largest = _mm512_mask_max_ps(largest, static_cast<__mmask16>(valid(j) >> 16), largest,
                                 _mm512_load_ps(s + kTileSums));
  }
  const float offset = _mm512_reduce_max_ps(largest) * scale;
  const __m512 scales = _mm512_set1_ps(scale);
  const __m512 offsets = _mm512_set1_ps(offset);
  __m512 sum = _mm512_setzero_ps();
  for (int64_t j = 0; j <= part; ++j) {
    const float* s = scores + j * kBlockValues;
    const __m512 low =
        _mm512_maskz_mov_ps(static_cast<__mmask16>(valid(j)),
                            PowerOfTwo(_mm512_fmsub_ps(_mm512_load_ps(s), scales, offsets)));
    const __m512 high = _mm512_maskz_mov_ps(
        static_cast<__mmask16>(valid(j) >> 16),
        PowerOfTwo(_mm512_fmsub_ps(_mm512_load_ps(s + kTileSums), scales, offsets)));
    sum = _mm512_add_ps(sum, _mm512_add_ps(low, high));
    _mm512_store_si512(probabilities + j * kBlockValues + row * kBlock, ToBF16(low, high));
  }
  const float total = _mm512_reduce_add_ps(sum);
  *log_sum = offset + __builtin_log2f(total);
  return 1.0f / total;
}

// Keys and values are packed.
void ForwardQueries(const AttentionHead& head, int64_t query, const ForwardScratch& scratch) {
  const Sizes sizes(head);
  Pack<As::kLeft>(head, head.q + query * head.sequence * head.head_dim, head.head_dim,
                  scratch.queries);
  const float scale = ScoreScale(head) * kLog2E;
  for (int64_t part = 0; part < sizes.parts; ++part) {
    for (int64_t j = 0; j <= part; ++j) {
      MultiplyBlocks(scratch.queries + part * sizes.depth * kBlockValues,
                     scratch.keys + j * sizes.depth * kBlockValues, sizes.depth, false,
                     scratch.scores + j * kBlockValues);
    }
    const int64_t rows = Least(kBlock, head.sequence - part * kBlock);
    float inverse_sums[kBlock];
    float unused;
    for (int64_t row = 0; row < kBlock; ++row) {
      float* log_sum =
          row < rows ? head.log_sums + query * head.sequence + part * kBlock + row : &unused;
      inverse_sums[row] =
          SoftmaxRow(scratch.scores, part, row, scale, scratch.probabilities, log_sum);
    }
    for (int64_t column = 0; column < sizes.depth; ++column) {
      MultiplyBlocks(scratch.probabilities, scratch.values + column * sizes.parts * kBlockValues,
                     part + 1, false, scratch.mixed);
      uint16_t* to =
          head.mixed + part * kBlock * head.mixed_stride + query * head.head_dim + column * kBlock;
      for (int64_t row = 0; row < rows; ++row) {
        _mm512_storeu_si512(to + row * head.mixed_stride,
                            RowOfSums(scratch.mixed, row, inverse_sums[row]));
      }
    }
  }
}

struct BackwardScratch {
  BackwardScratch(const Sizes& sizes, Pieces& pieces)
      : keys(pieces.Blocks(sizes.parts * sizes.depth)),
        values(pieces.Blocks(sizes.parts * sizes.depth)),
        right_keys(pieces.Blocks(sizes.parts * sizes.depth)),
        queries_turned(pieces.Blocks(sizes.parts * sizes.depth)),
        queries(pieces.Blocks(sizes.parts * sizes.depth)),
        grads_turned(pieces.Blocks(sizes.parts * sizes.depth)),
        grads(pieces.Blocks(sizes.parts * sizes.depth)),
        probabilities(pieces.Blocks(sizes.parts)),
        grad_scores(pieces.Blocks(sizes.parts)),
        grad_scores_turned(pieces.Blocks(sizes.parts * kKeyGroup)),
        scores(pieces.SumBlocks(1)),
        grad_probabilities(pieces.SumBlocks(1)),
        grad_q(pieces.SumBlocks(sizes.parts * sizes.depth)),
        grad_k(pieces.SumBlocks(sizes.parts * sizes.depth)),
        grad_v(pieces.SumBlocks(sizes.parts * sizes.depth)),
        log_sums(pieces.Floats(sizes.parts * kBlock)),
        means(pieces.Floats(sizes.parts * kBlock)) {}
  uint16_t* keys;            // left
  uint16_t* values;          // left
  uint16_t* right_keys;      // right
  uint16_t* queries_turned;  // of one query head: right, transposed
  uint16_t* queries;         // right
  uint16_t* grads_turned;    // of what is mixed, as the queries
  uint16_t* grads;
  uint16_t* probabilities;       // left [key][query], of one part of the keys
  uint16_t* grad_scores;         // likewise
  uint16_t* grad_scores_turned;  // left [query][key]: [part of queries][kKeyGroup]
  float* scores;                 // one block [key][query]
  float* grad_probabilities;     // likewise
  float* grad_q;                 // [part][depth]
  float* grad_k;
  float* grad_v;
  float* log_sums;  // [query], 0 beyond the sequence
  float* means;     // likewise: of the gradients of a query's probabilities, by probability
};

// log_sums and means. A query's mean gradient is mixed . grad_mixed.
void PrepareQueries(const AttentionHead& head, int64_t query, const BackwardScratch& scratch) {
  const Sizes sizes(head);
  for (int64_t i = 0; i < sizes.parts * kBlock; ++i) {
    scratch.log_sums[i] = i < head.sequence ? head.log_sums[query * head.sequence + i] : 0;
    scratch.means[i] = 0;
    if (i >= head.sequence) continue;
    const int64_t first = i * head.mixed_stride + query * head.head_dim;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t column = 0; column < head.head_dim; column += kBlock) {
      const __m512i mixed = _mm512_loadu_si512(head.mixed + first + column);
      const __m512i grad = _mm512_loadu_si512(head.grad_mixed + first + column);
      // The odd values, then the even ones, as f32.
      const __m512i high = _mm512_set1_epi32(static_cast<int>(0xFFFF0000));
      sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_and_si512(mixed, high)),
                            _mm512_castsi512_ps(_mm512_and_si512(grad, high)), sum);
      sum = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32(mixed, 16)),
                            _mm512_castsi512_ps(_mm512_slli_epi32(grad, 16)), sum);
    }
    scratch.means[i] = _mm512_reduce_add_ps(sum);
  }
}

// scratch.scores and grad_probabilities, block [key part `j`][query part `i`], become left blocks
// of probabilities and of the scores' gradients.
void GradientsOfScores(const AttentionHead& head, int64_t j, int64_t i,
                       const BackwardScratch& scratch) {
  const __m512 grad_scale = _mm512_set1_ps(ScoreScale(head));
  const __m512 scale = _mm512_set1_ps(ScoreScale(head) * kLog2E);
  for (int64_t row = 0; row < kBlock; ++row) {
    const __mmask32 later = i > j ? ~__mmask32{0} : ~__mmask32{0} << row;  // queries see it
    __m512 probabilities[2];
    __m512 grads[2];
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = SumsOfRow(row) + half * kTileSums;
      const int64_t query = i * kBlock + half * 16;
      const __m512 power = _mm512_fmsub_ps(_mm512_load_ps(scratch.scores + at), scale,
                                           _mm512_load_ps(scratch.log_sums + query));
      probabilities[half] =
          _mm512_maskz_mov_ps(static_cast<__mmask16>(later >> (16 * half)), PowerOfTwo(power));
      const __m512 difference = _mm512_sub_ps(_mm512_load_ps(scratch.grad_probabilities + at),
                                              _mm512_load_ps(scratch.means + query));
      grads[half] = _mm512_mul_ps(_mm512_mul_ps(probabilities[half], grad_scale), difference);
    }
    const int64_t to = i * kBlockValues + row * kBlock;
    _mm512_store_si512(scratch.probabilities + to, ToBF16(probabilities[0], probabilities[1]));
    _mm512_store_si512(scratch.grad_scores + to, ToBF16(grads[0], grads[1]));
  }
}

// Part `j` of the keys, `first` the first of its group: adds to the gradients of its keys and
// values, and leaves grad_scores_turned.
void BackwardKeys(const AttentionHead& head, int64_t j, int64_t first, bool add,
                  const BackwardScratch& scratch) {
  const Sizes sizes(head);
  const int64_t width = sizes.depth * kBlockValues;
  for (int64_t i = j; i < sizes.parts; ++i) {
    MultiplyBlocks(scratch.keys + j * width, scratch.queries_turned + i * width, sizes.depth, false,
                   scratch.scores);
    MultiplyBlocks(scratch.values + j * width, scratch.grads_turned + i * width, sizes.depth, false,
                   scratch.grad_probabilities);
    GradientsOfScores(head, j, i, scratch);
    PackLeftTransposed({.values = scratch.grad_scores + i * kBlockValues,
                        .stride = kBlock,
                        .rows = kBlock,
                        .columns = kBlock},
                       scratch.grad_scores_turned + (i * kKeyGroup + j - first) * kBlockValues);
  }
  for (int64_t column = 0; column < sizes.depth; ++column) {
    const int64_t right = (column * sizes.parts + j) * kBlockValues;
    const int64_t sums = (j * sizes.depth + column) * kBlockValues;
    MultiplyBlocks(scratch.probabilities + j * kBlockValues, scratch.grads + right, sizes.parts - j,
                   add, scratch.grad_v + sums);
    MultiplyBlocks(scratch.grad_scores + j * kBlockValues, scratch.queries + right, sizes.parts - j,
                   add, scratch.grad_k + sums);
  }
}

// Adds what the keys of the group that begins at part `first` give to the gradients of the queries;
// what is whole then is stored.
void BackwardQueries(const AttentionHead& head, int64_t query, int64_t first,
                     const BackwardScratch& scratch) {
  const Sizes sizes(head);
  uint16_t* grad_q = head.grad_q + query * head.sequence * head.head_dim;
  for (int64_t i = first; i < sizes.parts; ++i) {
    for (int64_t column = 0; column < sizes.depth; ++column) {
      float* sums = scratch.grad_q + (i * sizes.depth + column) * kBlockValues;
      MultiplyBlocks(scratch.grad_scores_turned + i * kKeyGroup * kBlockValues,
                     scratch.right_keys + (column * sizes.parts + first) * kBlockValues,
                     Least(kKeyGroup, i - first + 1), first > 0, sums);
      if (i < first + kKeyGroup) StoreSums(head, sums, grad_q, i, column);
    }
  }
}

void BackwardQueryHead(const AttentionHead& head, int64_t query, const BackwardScratch& scratch) {
  const Sizes sizes(head);
  const uint16_t* q = head.q + query * head.sequence * head.head_dim;
  const uint16_t* grad_mixed = head.grad_mixed + query * head.head_dim;
  Pack<As::kRightTransposed>(head, q, head.head_dim, scratch.queries_turned);
  Pack<As::kRight>(head, q, head.head_dim, scratch.queries);
  Pack<As::kRightTransposed>(head, grad_mixed, head.mixed_stride, scratch.grads_turned);
  Pack<As::kRight>(head, grad_mixed, head.mixed_stride, scratch.grads);
  PrepareQueries(head, query, scratch);
  for (int64_t first = 0; first < sizes.parts; first += kKeyGroup) {
    for (int64_t j = first; j < Least(first + kKeyGroup, sizes.parts); ++j) {
      BackwardKeys(head, j, first, query > 0, scratch);
    }
    BackwardQueries(head, query, first, scratch);
  }
}

size_t ScratchBytes(const AttentionHead& head) {
  Pieces forward(nullptr);
  Pieces backward(nullptr);
  ForwardScratch(Sizes(head), forward);
  BackwardScratch(Sizes(head), backward);
  return forward.bytes() > backward.bytes() ? forward.bytes() : backward.bytes();
}

void Forward(const AttentionHead& head, void* memory) {
  const Sizes sizes(head);
  Pieces pieces(memory);
  const ForwardScratch scratch(sizes, pieces);
  const Tiles tiles(kPairConfig);
  Pack<As::kRightTransposed>(head, head.k, head.head_dim, scratch.keys);
  Pack<As::kRight>(head, head.v, head.head_dim, scratch.values);
  for (int64_t query = 0; query < head.queries; ++query) ForwardQueries(head, query, scratch);
}

void Backward(const AttentionHead& head, void* memory) {
  const Sizes sizes(head);
  Pieces pieces(memory);
  const BackwardScratch scratch(sizes, pieces);
  const Tiles tiles(kPairConfig);
  Pack<As::kLeft>(head, head.k, head.head_dim, scratch.keys);
  Pack<As::kLeft>(head, head.v, head.head_dim, scratch.values);
  Pack<As::kRight>(head, head.k, head.head_dim, scratch.right_keys);
  for (int64_t query = 0; query < head.queries; ++query) BackwardQueryHead(head, query, scratch);
  for (int64_t part = 0; part < sizes.parts; ++part) {
    for (int64_t column = 0; column < sizes.depth; ++column) {
      const int64_t sums = (part * sizes.depth + column) * kBlockValues;
      StoreSums(head, scratch.grad_k + sums, head.grad_k, part, column);
      StoreSums(head, scratch.grad_v + sums, head.grad_v, part, column);
    }
  }
}

}  // namespace

const AttentionKernel kAttentionKernelAmx = {ScratchBytes, Forward, Backward};

}  // namespace stocha
