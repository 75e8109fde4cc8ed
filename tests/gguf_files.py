"""GGUF files of small models and tokenizers, written with the `gguf` package as llama.cpp's converter
lays them out."""

import math

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import TokenType

# Where a block of each type keeps its float16 scales and minimums, and values of them that give
# weights of about a tenth.
HALVES = {
    Type.Q8_0: {0: 0.001},
    Type.Q4_0: {0: 0.02},
    Type.Q4_1: {0: 0.02, 2: -0.15},
    Type.Q5_0: {0: 0.01},
    Type.Q4_K: {0: 0.0006, 2: 0.0045},
    Type.Q5_K: {0: 0.0003, 2: 0.00465},
    Type.Q6_K: {208: 0.0001},
}
LAYER_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
NAMES = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}


def gguf_name(name):
    if name in NAMES:
        return NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    part, suffix = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[part]}.{suffix}"


def is_interleaved(config, name):
    return config.model_type == "llama" and ("q_proj" in name or "k_proj" in name)


def interleave(config, name, rows):
    """Rows of q or k as llama.cpp has them for llama; `rows` may be values or bytes."""
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    shape = rows.shape
    return rows.reshape(heads, 2, shape[0] // heads // 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def deinterleave(config, name, rows):
    heads = config.num_attention_heads if "q_proj" in name else config.num_key_value_heads
    shape = rows.shape
    return rows.reshape(heads, shape[0] // heads // 2, 2, *shape[1:]).swapaxes(1, 2).reshape(shape)


def random_blocks(rng, kind, shape, wide=False):
    """Random bytes with finite scales: of any size when `wide`, else such that weights are small."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = rng.integers(0, 256, (math.prod(shape) // elements, size), dtype=np.uint8)
    if kind == Type.F32:
        blocks[:, 3] &= 0xBF  # below 2
    elif kind in (Type.F16, Type.BF16):
        blocks[:, 1] &= 0xBF
    for offset, value in HALVES.get(kind, {}).items():
        if wide:
            blocks[:, offset + 1] &= 0xBF
        else:
            blocks[:, offset : offset + 2] = np.array([value], np.float16).view(np.uint8)
    return blocks.reshape(shape[0], -1)


def encode(rng, kind, values):
    """`values` in the bytes of `kind`, or, where the package cannot quantise to it, random blocks."""
    try:
        return gguf.quantize(values, kind)
    except NotImplementedError:
        return random_blocks(rng, kind, values.shape)


def llama3_rope_factors(config):
    """What each frequency is divided by, as llama.cpp's converter computes it."""
    rope = config.rope_parameters
    head_dim = config.head_dim
    frequencies = 1.0 / (rope["rope_theta"] ** (torch.arange(0, head_dim, 2).float() / head_dim))
    original = rope["original_max_position_embeddings"]
    low, high = rope["low_freq_factor"], rope["high_freq_factor"]
    factors = []
    for frequency in frequencies:
        wavelength = 2 * math.pi / frequency
        if wavelength < original / high:
            factors.append(1)
        elif wavelength > original / low:
            factors.append(rope["factor"])
        else:
            smooth = (original / wavelength - low) / (high - low)
            factors.append(1 / ((1 - smooth) / rope["factor"] + smooth))
    return np.array(factors, np.float32)


def new_writer(path, config):
    """A writer with the metadata of a transformers config."""
    writer = gguf.GGUFWriter(path, config.model_type)
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)
    writer.add_vocab_size(config.vocab_size)
    rope = config.rope_parameters
    writer.add_rope_freq_base(rope["rope_theta"])
    if config.model_type == "llama":
        writer.add_rope_dimension_count(head_dim)
    if rope["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(rope["factor"])
    elif rope["rope_type"] == "llama3":
        writer.add_tensor("rope_freqs.weight", llama3_rope_factors(config))
    return writer


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_model(path, model, kind=Type.F32, change=None):
    """A GGUF of a transformers model: matrices as `kind`, vectors as F32.

    change: called with the writer before it writes, for what a test adds.
    """
    rng = np.random.default_rng(3)
    config = model.config
    writer = new_writer(path, config)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and config.tie_word_embeddings:
            continue
        values = tensor.float().numpy()
        if is_interleaved(config, name):
            values = interleave(config, name, values)
        if values.ndim == 1:
            writer.add_tensor(gguf_name(name), values)
        else:
            writer.add_tensor(gguf_name(name), encode(rng, kind, values), raw_dtype=kind)
    if change:
        change(writer)
    finish(writer)
    return path


def add_tokenizer(writer, content, pre, chat_template=None, **ids):
    """The tokenizer of a tokenizer.json (`content`, parsed), as llama.cpp's converter stores it.

    ids: bos=, eos= and so on, as add_bos_token_id() and its kin take them.
    """
    tokens = {token_id: token for token, token_id in content["model"]["vocab"].items()}
    types = dict.fromkeys(tokens, TokenType.NORMAL)
    for added in content["added_tokens"]:
        tokens[added["id"]] = added["content"]
        types[added["id"]] = TokenType.CONTROL if added["special"] else TokenType.USER_DEFINED
    size = max(tokens) + 3  # rows that no token has
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list([tokens.get(i, f"[PAD{i}]") for i in range(size)])
    writer.add_token_types([types.get(i, TokenType.UNUSED) for i in range(size)])
    merges = content["model"]["merges"]
    writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    if chat_template:
        writer.add_chat_template(chat_template)
    for name, token_id in ids.items():
        getattr(writer, f"add_{name}_token_id")(token_id)
    return size
