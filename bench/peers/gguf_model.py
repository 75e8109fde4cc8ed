"""Writes a llama GGUF of a shape with random weights, so that llama.cpp can be timed on it.

Values are random but finite and of a trained model's size (standard deviation 1 / sqrt(columns)):
speed does not depend on them as long as no infinity or denormal appears. There is no vocabulary;
token ids are all that is needed.
"""

import os
import pathlib

import gguf
import numpy as np

from peers.shapes import Shape

Q = gguf.GGMLQuantizationType

# File type: (type of the matrices, type of the tied head). Heads are what llama-quantize would
# choose: Q6_K for the 4-bit types where rows are a multiple of 256, Q8_0 elsewhere.
FILE_TYPES = {
    "q8_0": (Q.Q8_0, Q.Q8_0),
    "q4_0": (Q.Q4_0, Q.Q6_K),
    "q4_k": (Q.Q4_K, Q.Q6_K),
    "f16": (Q.F16, Q.F16),
    "bf16": (Q.BF16, Q.BF16),
}
STANDARD_DEVIATION = {Q.Q8_0: 73.9, Q.Q4_0: 4.61, Q.Q6_K: 18.5 * 37, Q.Q4_K: 4.61 * 32}
TILE_ROWS = 256  # random bytes are drawn for so many rows, then repeated


def random_rows(kind: Q, rows: int, columns: int, rng: np.random.Generator) -> np.ndarray:
    """Rows of random blocks. [rows, bytes of a row] as uint8, or [rows, columns] for f16."""
    deviation = columns**-0.5
    tile_rows = min(rows, TILE_ROWS)
    if kind in (Q.F16, Q.BF16):
        values = rng.standard_normal((tile_rows, columns), dtype=np.float32) * deviation
        tile = gguf.quants.quantize(values, kind)
    else:
        block_values, block_bytes = gguf.GGML_QUANT_SIZES[kind]
        blocks = columns // block_values
        tile = rng.integers(0, 256, (tile_rows, blocks, block_bytes), dtype=np.uint8)
        scale = np.float16(deviation / STANDARD_DEVIATION[kind]).view(np.uint16)
        low, high = scale & 0xFF, scale >> 8
        # d stands first, but last in Q6_K; dmin of Q4_K follows d: zero mean of q needs 7.5 d.
        at = block_bytes - 2 if kind == Q.Q6_K else 0
        tile[:, :, at], tile[:, :, at + 1] = low, high
        if kind == Q.Q6_K:
            scales = tile[:, :, block_bytes - 18 : block_bytes - 2]
            scales[...] = (scales % 75).astype(np.int16) - 37
        if kind == Q.Q4_K:
            least = np.float16(7.5 * deviation / STANDARD_DEVIATION[kind]).view(np.uint16)
            tile[:, :, 2], tile[:, :, 3] = least & 0xFF, least >> 8
        tile = tile.reshape(tile_rows, blocks * block_bytes)
    repeats = -(-rows // tile_rows)
    return np.tile(tile, (repeats, 1))[:rows]


def head_type(shape: Shape, file_type: str) -> Q:
    head = FILE_TYPES[file_type][1]
    return Q.Q8_0 if head == Q.Q6_K and shape.hidden_size % 256 else head


def write_model(shape: Shape, file_type: str, path: pathlib.Path) -> None:
    """The whole file under a temporary name, then renamed."""
    matrix_type = FILE_TYPES[file_type][0]
    rng = np.random.default_rng(0)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    writer = gguf.GGUFWriter(temporary, "llama")
    writer.add_vocab_size(shape.vocab_size)
    writer.add_context_length(8192)
    writer.add_embedding_length(shape.hidden_size)
    writer.add_feed_forward_length(shape.intermediate_size)
    writer.add_block_count(shape.num_layers)
    writer.add_head_count(shape.num_heads)
    writer.add_head_count_kv(shape.num_kv_heads)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(500000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("no_vocab")

    def add_matrix(name: str, kind: Q, rows: int, columns: int) -> None:
        writer.add_tensor(name, random_rows(kind, rows, columns, rng), raw_dtype=kind)

    def add_norm(name: str) -> None:
        writer.add_tensor(name, np.ones(shape.hidden_size, dtype=np.float32))

    hidden, inner = shape.hidden_size, shape.intermediate_size
    kv_size = shape.num_kv_heads * shape.head_dim
    add_matrix("token_embd.weight", head_type(shape, file_type), shape.vocab_size, hidden)
    add_norm("output_norm.weight")
    for layer in range(shape.num_layers):
        prefix = f"blk.{layer}."
        add_norm(prefix + "attn_norm.weight")
        add_norm(prefix + "ffn_norm.weight")
        add_matrix(prefix + "attn_q.weight", matrix_type, hidden, hidden)
        add_matrix(prefix + "attn_k.weight", matrix_type, kv_size, hidden)
        add_matrix(prefix + "attn_v.weight", matrix_type, kv_size, hidden)
        add_matrix(prefix + "attn_output.weight", matrix_type, hidden, hidden)
        add_matrix(prefix + "ffn_gate.weight", matrix_type, inner, hidden)
        add_matrix(prefix + "ffn_up.weight", matrix_type, inner, hidden)
        add_matrix(prefix + "ffn_down.weight", matrix_type, hidden, inner)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)


def model_file(shape: Shape, file_type: str, folder: pathlib.Path) -> pathlib.Path:
    """The file of that shape and type in `folder`; made on first use."""
    path = folder / f"{shape.name.replace(',', '-')}-{file_type}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_model(shape, file_type, path)
    return path
