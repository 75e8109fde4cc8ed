#include "stocha/kernels/amx_emulator.h"

#if defined(__x86_64__)

#include <signal.h>
#include <ucontext.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace stocha {
namespace {

// After Intel's Software Developer's Manual, volume 2.

constexpr int kTiles = 8;
constexpr int kMaxRows = 16;
constexpr int kMaxRowBytes = 64;

struct Tile {
  int rows;
  int row_bytes;
  uint8_t data[kMaxRows][kMaxRowBytes];
};

struct TileState {
  bool configured;
  Tile tiles[kTiles];
};

thread_local TileState state;

// An instruction with a VEX prefix of three bytes.
struct Instruction {
  int map;  // 2: 0F 38
  int pp;   // 0: none, 1: 66, 2: F3, 3: F2
  bool w;
  int vvvv;  // a third operand
  int opcode;
  int mod;
  int reg;
  int rm;
  // Of an operand in memory.
  uint64_t base;
  uint64_t index;
  bool has_sib;
  uint64_t end;  // of the instruction
};

// The registers in the order of their numbers.
constexpr int kRegisters[] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                              REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                              REG_R12, REG_R13, REG_R14, REG_R15};

template <typename T>
T Read(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

bool Decode(const greg_t* registers, Instruction* i) {
  const auto* p = std::bit_cast<const uint8_t*>(registers[REG_RIP]);
  if (p[0] != 0xC4) return false;
  const int extend_reg = (~p[1] & 0x80) >> 4;  // 8 where the bit is clear
  const int extend_index = (~p[1] & 0x40) >> 3;
  const int extend_base = (~p[1] & 0x20) >> 2;
  *i = {.map = p[1] & 31,
        .pp = p[2] & 3,
        .w = (p[2] & 0x80) != 0,
        .vvvv = ~p[2] >> 3 & 15,
        .opcode = p[3],
        .mod = p[4] >> 6,
        .reg = (p[4] >> 3 & 7) + extend_reg,
        .rm = p[4] & 7};
  p += 5;
  if (i->mod == 3) {
    i->rm += extend_base;
    i->end = std::bit_cast<uint64_t>(p);
    return true;
  }
  const auto value = [&](int number) {
    return static_cast<uint64_t>(registers[kRegisters[number]]);
  };
  int base = i->rm;
  if (i->rm == 4) {
    i->has_sib = true;
    const int index = (p[0] >> 3 & 7) + extend_index;
    if (index != 4) i->index = value(index) << (p[0] >> 6);
    base = p[0] & 7;
    ++p;
  }
  if (base == 5 && i->mod == 0) {  // a displacement alone, from the next instruction if without SIB
    i->base = static_cast<uint64_t>(int64_t{Read<int32_t>(p)});
    p += 4;
    if (!i->has_sib) i->base += std::bit_cast<uint64_t>(p);
  } else {
    i->base = value(base + extend_base);
    if (i->mod == 1) i->base += static_cast<uint64_t>(int64_t{static_cast<int8_t>(*p++)});
    if (i->mod == 2) {
      i->base += static_cast<uint64_t>(int64_t{Read<int32_t>(p)});
      p += 4;
    }
  }
  i->end = std::bit_cast<uint64_t>(p);
  return true;
}

bool Configure(const uint8_t* config) {
  if (config[0] != 1 || config[1] != 0) return false;  // other palettes, restarts: not used here
  if (std::any_of(config + 2, config + 16, [](uint8_t byte) { return byte != 0; })) return false;
  if (std::any_of(config + 32, config + 48, [](uint8_t byte) { return byte != 0; })) return false;
  if (std::any_of(config + 56, config + 64, [](uint8_t byte) { return byte != 0; })) return false;
  state = {.configured = true, .tiles = {}};
  for (int t = 0; t < kTiles; ++t) {
    Tile& tile = state.tiles[t];
    tile.row_bytes = Read<uint16_t>(config + 16 + 2 * t);
    tile.rows = config[48 + t];
    if (tile.row_bytes > kMaxRowBytes || tile.rows > kMaxRows) return false;
    if ((tile.row_bytes == 0) != (tile.rows == 0)) return false;
  }
  return true;
}

// The tile, or null if it cannot be used.
Tile* Find(int number) {
  if (!state.configured || number >= kTiles) return nullptr;
  Tile& tile = state.tiles[number];
  return tile.rows == 0 || tile.row_bytes % 4 != 0 ? nullptr : &tile;
}

// Whether they may be multiplied.
bool Fit(const Tile* sums, const Tile* a, const Tile* b) {
  if (sums == nullptr || a == nullptr || b == nullptr || sums == a || sums == b || a == b)
    return false;
  return sums->rows == a->rows && sums->row_bytes == b->row_bytes && a->row_bytes == 4 * b->rows;
}

// sums[m][n] += a[m][k] b[k / 4][n][k % 4], signed bytes.
bool MultiplySigned(Tile* sums, const Tile* a, const Tile* b) {
  if (!Fit(sums, a, b)) return false;
  for (int m = 0; m < sums->rows; ++m) {
    for (int n = 0; n < sums->row_bytes / 4; ++n) {
      auto sum = Read<int32_t>(sums->data[m] + 4 * n);
      for (int k = 0; k < a->row_bytes; ++k) {
        sum +=
            static_cast<int8_t>(a->data[m][k]) * static_cast<int8_t>(b->data[k / 4][4 * n + k % 4]);
      }
      std::memcpy(sums->data[m] + 4 * n, &sum, sizeof(sum));
    }
  }
  return true;
}

// Subnormal numbers count as 0.
float Flush(float x) { return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0F, x) : x; }

float Value(const uint8_t* bfloat16) {
  return Flush(std::bit_cast<float>(uint32_t{Read<uint16_t>(bfloat16)} << 16));
}

// sums[m][n] += a[m][2 k] b[k][2 n], added over k, plus a[m][2 k + 1] b[k][2 n + 1], likewise.
bool MultiplyPairs(Tile* sums, const Tile* a, const Tile* b) {
  if (!Fit(sums, a, b)) return false;
  for (int m = 0; m < sums->rows; ++m) {
    for (int n = 0; n < sums->row_bytes / 4; ++n) {
      float parts[2] = {};
      for (int k = 0; k < b->rows; ++k) {
        for (int i = 0; i < 2; ++i) {
          const int offset = 2 * i;
          parts[i] = Flush(std::fma(Value(a->data[m] + 4 * k + offset),
                                    Value(b->data[k] + 4 * n + offset), parts[i]));
        }
      }
      const float old = Flush(Read<float>(sums->data[m] + 4 * n));
      const float sum = Flush(old + Flush(parts[0] + parts[1]));
      std::memcpy(sums->data[m] + 4 * n, &sum, sizeof(sum));
    }
  }
  return true;
}

// False: not an instruction of AMX that the kernels use, or one that is not allowed.
bool Execute(const Instruction& i) {
  if (i.map != 2 || i.w) return false;
  const bool memory = i.mod != 3;
  auto* const at = std::bit_cast<uint8_t*>(i.base);
  if (i.opcode == 0x49 && i.pp == 0 && memory && i.reg == 0) {  // ldtilecfg
    return Configure(at + i.index);
  }
  if (i.opcode == 0x49 && i.pp == 0 && !memory && i.reg == 0 && i.rm == 0) {  // tilerelease
    state = {};
    return true;
  }
  if (i.opcode == 0x5E && i.pp == 3 && !memory) {  // tdpbssd
    return MultiplySigned(Find(i.reg), Find(i.rm), Find(i.vvvv));
  }
  if (i.opcode == 0x5C && i.pp == 2 && !memory) {  // tdpbf16ps
    return MultiplyPairs(Find(i.reg), Find(i.rm), Find(i.vvvv));
  }
  Tile* const tile = Find(i.reg);
  if (tile == nullptr) return false;
  if (i.opcode == 0x49 && i.pp == 3 && !memory && i.rm == 0) {  // tilezero
    std::memset(tile->data, 0, sizeof(tile->data));
    return true;
  }
  if (i.opcode != 0x4B || !i.has_sib) return false;
  for (int r = 0; r < tile->rows; ++r) {
    uint8_t* const row = at + static_cast<uint64_t>(r) * i.index;
    if (i.pp == 3) {  // tileloadd
      std::memcpy(tile->data[r], row, static_cast<size_t>(tile->row_bytes));
    } else if (i.pp == 2) {  // tilestored
      std::memcpy(row, tile->data[r], static_cast<size_t>(tile->row_bytes));
    } else {
      return false;
    }
  }
  return true;
}

void OnIllegalInstruction(int, siginfo_t*, void* context) {
  greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  Instruction instruction;
  if (Decode(registers, &instruction) && Execute(instruction)) {
    registers[REG_RIP] = static_cast<greg_t>(instruction.end);
  } else {
    signal(SIGILL, SIG_DFL);  // and the instruction is tried again
  }
}

}  // namespace

std::vector<Isa> EmulatedIsas() {
  std::vector<Isa> isas = AvailableIsas();
  // AMX itself, or not what its kernels take for granted.
  if (isas.back() != Isa::kAvx512 || !__builtin_cpu_supports("avx512bf16")) return isas;
  struct sigaction action = {};
  action.sa_sigaction = OnIllegalInstruction;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGILL, &action, nullptr);
  isas.push_back(Isa::kAmx);
  return isas;
}

}  // namespace stocha

#else

namespace stocha {
std::vector<Isa> EmulatedIsas() { return AvailableIsas(); }
}  // namespace stocha

#endif
