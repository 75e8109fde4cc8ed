"""Rows of a packed file (stocha/kernels/packed.h), taken apart without stocha's code."""

import numpy as np


def nibbles(plane):
    """The 4-bit values of [rows, bytes], in ggml's order: low halves of a block, then high ones."""
    blocks = plane.reshape(len(plane), -1, 16)
    return np.concatenate([blocks & 15, blocks >> 4], axis=2)  # [rows, blocks, 32]


def dot_bytes(values):
    """The bytes of q8_0 rows for `dot` in the order of the values, [rows, blocks, 32]."""
    rows, cols = values.shape
    blocks = np.empty((rows, cols // 32, 32), np.uint8)
    for first in range(0, cols // 32, 4):
        count = min(4, cols // 32 - first)
        chunk = values[:, first * 32 :][:, : count * 32].reshape(rows, 2, count, 16)
        blocks[:, first : first + count] = chunk.transpose(0, 2, 1, 3).reshape(rows, count, 32)
    return blocks


def steps(rows, cols, block_bytes):
    """The steps of rows of a packed file, and how many values each has."""
    first = 0
    for begin in range(0, cols, 512):
        values = min(512, cols - begin)
        size = round(values // 32 * block_bytes)
        yield rows[:, first : first + size], values
        first += size
    assert first == rows.shape[1]


def ggml_rows(rows, cols, kind, is_down):
    """Rows of a packed file as ggml's blocks; those of q8_0 stand in another order in down."""
    block_bytes = {"q8_0": 34, "q4_0": 18, "q4_k": 18.5, "q6_k": 26.25}[kind]
    parts = steps(rows, cols, block_bytes)
    return np.concatenate([ggml_step(step, n, kind, is_down) for step, n in parts], axis=1)


def ggml_step(rows, cols, kind, is_down):
    count = cols // 32
    if kind == "q4_k":
        return q4_k_rows(rows, cols)
    if kind == "q6_k":
        return q6_k_rows(rows, cols)
    size = {"q8_0": cols, "q4_0": cols // 2}[kind]
    d = rows[:, size:].reshape(len(rows), count, 2)
    packed = rows[:, :size].reshape(len(rows), count, -1)
    if kind == "q8_0" and not is_down:
        packed = dot_bytes(rows[:, :size]) ^ 128
    return np.concatenate([d, packed], axis=2).reshape(len(rows), -1)


def q4_k_rows(rows, cols):
    count, supers = cols // 32, cols // 256
    q, scale, low, d, e = np.split(
        rows, np.cumsum([cols // 2, count, count, 2 * supers]), axis=1
    )
    scale, low = (part.reshape(-1, supers, 8) for part in (scale, low))
    d, e = (part.reshape(-1, supers, 2) for part in (d, e))
    pairs = nibbles(q).reshape(-1, supers, 4, 2, 32)
    q = (pairs[:, :, :, 0] | pairs[:, :, :, 1] << 4).reshape(-1, supers, 128)
    first = scale[..., :4] | scale[..., 4:] >> 4 << 6
    second = low[..., :4] | low[..., 4:] >> 4 << 6
    third = scale[..., 4:] & 15 | (low[..., 4:] & 15) << 4
    blocks = np.concatenate([d, e, first, second, third, q], axis=2)
    return blocks.reshape(len(rows), -1)


def q6_k_rows(rows, cols):
    """Of steps that are whole super-blocks."""
    count, supers = cols // 32, cols // 256
    low, pairs, first, second, d = np.split(
        rows, np.cumsum([cols // 2, cols // 4, count, count]), axis=1
    )
    pairs = pairs.reshape(-1, supers, 4, 16)  # of 8 blocks, a chunk of 4 after the other
    chunks = [pairs & 0x33, pairs >> 2 & 0x33]
    high = np.stack([np.concatenate([c & 3, c >> 4], axis=3) for c in chunks], axis=2)
    q = nibbles(low).reshape(-1, supers, 2, 4, 32) | high << 4
    low = (q[:, :, :, :2] & 15 | (q[:, :, :, 2:] & 15) << 4).reshape(-1, supers, 128)
    shifts = np.array([0, 2, 4, 6], np.uint8).reshape(4, 1)
    high = np.bitwise_or.reduce(q >> 4 << shifts, axis=3).reshape(-1, supers, 64)
    scale = np.stack([first, second], axis=2).reshape(-1, supers, 16)
    blocks = np.concatenate([low, high, scale, d.reshape(-1, supers, 2)], axis=2)
    return blocks.reshape(len(rows), -1)
