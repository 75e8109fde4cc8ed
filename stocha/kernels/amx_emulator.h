// AMX's tile instructions in software, so that the tests run the kernels of `amx` on a machine with
// AVX-512 alone, where each such instruction is illegal and is carried out by the signal's handler.
#ifndef STOCHA_KERNELS_AMX_EMULATOR_H_
#define STOCHA_KERNELS_AMX_EMULATOR_H_

#include <vector>

#include "stocha/kernels/isa.h"

namespace stocha {

// AvailableIsas(), and kAmx where it can be emulated. An instruction that Intel's manual calls
// invalid (a tile that is not configured, shapes that do not fit) ends the process as it does on
// the processor.
std::vector<Isa> EmulatedIsas();

}  // namespace stocha

#endif  // STOCHA_KERNELS_AMX_EMULATOR_H_
