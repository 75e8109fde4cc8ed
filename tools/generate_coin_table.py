#!/usr/bin/env python3
"""Writes stocha/model/testdata/coins.txt: known answers of the coin that every implementation meets.

Philox4x32-10 is written here a second time, from the paper (Salmon et al., SC 2011), in numpy and
whole arrays, so that the table shares no code with what it tests. Before writing, the generator is
checked against the known answers that its authors publish (Random123, kat_vectors).

Usage: tools/generate_coin_table.py > stocha/model/testdata/coins.txt
"""

import sys

import numpy as np

HEADER = """\
# Known answers of the coin (model/activation.h). Written by tools/generate_coin_table.py; do not edit.
# bits: the coin's 16 bits of Philox4x32-10; the coin is true when bits < p_65536.
# seed layer step row neuron bits
"""

# counter, key, output of philox4x32-10 in Random123's kat_vectors.
PUBLISHED = [
    ([0, 0, 0, 0], [0, 0], [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
    ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
    ([0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344], [0xA4093822, 0x299F31D0],
     [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1]),
]

# seed, layer, step, row, neurons: what tends to go wrong is a wide seed, a lane or block edge, and
# fields swapped.
CASES = [
    (0, 0, 0, 0, range(20)),
    (1, 2, 3, 4, range(8)),
    (0x0123456789ABCDEF, 5, 77777, 4095, (0, 1, 7, 8, 63, 64, 65, 1023, 1024, 8191)),
    (0xFFFFFFFFFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, (0, 3, 0xFFFFFFFE, 0xFFFFFFFF)),
    (0x100000000, 1, 0, 0, (0, 5)),
    (7, 0, 1, 0, (0, 5)),
    (7, 1, 0, 0, (0, 5)),
    (7, 0, 0, 1, (0, 5)),
]


def philox4x32(counter, key, rounds=10):
    """counter: [..., 4], key: [..., 2], both of 32-bit values. Returns [..., 4] as uint32."""
    counter = np.asarray(counter, dtype=np.uint64)
    key = np.asarray(key, dtype=np.uint64)
    low = np.uint64(0xFFFFFFFF)
    bump = np.array([0x9E3779B9, 0xBB67AE85], dtype=np.uint64)
    for _ in range(rounds):
        product = counter[..., [0, 2]] * np.array([0xD2511F53, 0xCD9E8D57], dtype=np.uint64)
        upper, lower = product >> np.uint64(32), product & low
        counter = np.stack([upper[..., 1] ^ counter[..., 1] ^ key[..., 0], lower[..., 1],
                            upper[..., 0] ^ counter[..., 3] ^ key[..., 1], lower[..., 0]], axis=-1)
        key = (key + bump) & low
    return counter.astype(np.uint32)


def coin_bits(seed, layer, step, rows, neurons):
    """The 16 bits of every coin of rows x neurons: [len(rows), len(neurons)], uint16."""
    row, neuron = np.meshgrid(np.asarray(rows, dtype=np.uint64),
                              np.asarray(neurons, dtype=np.uint64), indexing="ij")
    counter = np.stack([neuron // np.uint64(8), row, np.full_like(row, layer),
                        np.full_like(row, step)], axis=-1)
    words = philox4x32(counter, np.array([seed & 0xFFFFFFFF, seed >> 32], dtype=np.uint64))
    halves = words.astype("<u4").view("<u2")  # [rows, neurons, 8]: low half, then high half of a word
    lane = (neuron % np.uint64(8)).astype(np.int64)[..., None]
    return np.take_along_axis(halves, lane, axis=-1)[..., 0]


def main():
    for counter, key, expected in PUBLISHED:
        if philox4x32(counter, key).tolist() != expected:
            sys.exit("generate_coin_table.py: philox4x32 misses its authors' known answers")
    sys.stdout.write(HEADER)
    for seed, layer, step, row, neurons in CASES:
        for neuron, bits in zip(neurons, coin_bits(seed, layer, step, [row], list(neurons))[0]):
            print(seed, layer, step, row, neuron, bits)


if __name__ == "__main__":
    main()
