"""`stocha convert`: values as the `gguf` package reads them, logits as transformers computes them."""

import json

import gguf
import numpy as np
import pytest
import torch
import transformers
from gguf import GGMLQuantizationType as Type
from safetensors.torch import load_file

from gguf_files import (
    deinterleave,
    finish,
    gguf_name,
    is_interleaved,
    new_writer,
    random_blocks,
    write_model,
)
from harness import assert_one_line_error, run, run_ok
from random_models import reference_logits

TYPES = [
    Type.F32, Type.F16, Type.BF16, Type.Q8_0, Type.Q4_0, Type.Q4_1, Type.Q5_0, Type.Q4_K, Type.Q5_K,
    Type.Q6_K,
]  # fmt: skip
SIZES = dict(
    vocab_size=97,
    hidden_size=256,
    intermediate_size=512,
    num_hidden_layers=2,
    num_attention_heads=8,
    num_key_value_heads=2,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    tie_word_embeddings=False,
)
IDS = np.random.default_rng(0).integers(0, SIZES["vocab_size"], 40).tolist()
LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 32.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
    "rope_theta": 500000.0,
}
LINEAR_ROPE = {"rope_type": "linear", "factor": 2.5, "rope_theta": 10000.0}


def config(kind, **changes):
    if kind == "qwen2":
        return transformers.Qwen2Config(**(SIZES | changes))
    if kind == "qwen3":  # 128 is what transformers takes for a GGUF
        return transformers.Qwen3Config(**(SIZES | {"head_dim": 128} | changes))
    return transformers.LlamaConfig(**(SIZES | changes))


def random_model(kind, **changes):
    torch.manual_seed(2)
    model = transformers.AutoModelForCausalLM.from_config(config(kind, **changes)).eval()
    for name, weight in model.named_parameters():
        is_norm = "norm" in name
        torch.nn.init.normal_(weight, 1.0 if is_norm else 0.0, 0.1)
    return model


def stocha_logits(stocha, folder, output):
    run_ok(stocha, "logits", folder, "--ids", ",".join(map(str, IDS)), "--output", output)
    return load_file(output)["logits"]


def assert_same_logits(stocha, folder, model):
    expected = reference_logits(model, IDS)
    got = stocha_logits(stocha, folder, folder / "logits.safetensors")
    assert expected.abs().max() > 1  # they tell something
    assert torch.allclose(got, expected, rtol=0, atol=1e-4), (got - expected).abs().max()


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.name)
def test_values_are_those_of_the_gguf_package(stocha, tmp_path, kind):
    settings = config("llama")
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(settings)
    rng = np.random.default_rng(4)
    writer = new_writer(tmp_path / "model.gguf", settings)
    expected = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if len(shape) == 1:
            expected[name] = rng.standard_normal(shape, np.float32)
            writer.add_tensor(gguf_name(name), expected[name])
            continue
        blocks = random_blocks(rng, kind, shape, wide=True)
        writer.add_tensor(gguf_name(name), blocks, raw_dtype=kind)
        values = gguf.dequantize(blocks.copy(), kind).reshape(shape)
        expected[name] = (
            deinterleave(settings, name, values) if is_interleaved(settings, name) else values
        )
    finish(writer)
    run_ok(stocha, "convert", tmp_path / "model.gguf", tmp_path / "out", "--dtype", "f32")
    got = load_file(tmp_path / "out/model.safetensors")
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        assert np.array_equal(got[name].numpy().view(np.uint32), values.view(np.uint32)), name


@pytest.mark.parametrize(
    "architecture,kind",
    [*(("llama", kind) for kind in TYPES), ("qwen2", Type.Q8_0), ("qwen3", Type.Q4_K)],
    ids=lambda value: getattr(value, "name", value),
)
def test_logits_are_those_of_transformers_on_the_same_file(stocha, tmp_path, architecture, kind):
    path = write_model(tmp_path / "model.gguf", random_model(architecture), kind)
    run_ok(stocha, "convert", path, tmp_path / "out")
    model = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path, gguf_file="model.gguf", dtype=torch.float32
    )
    assert_same_logits(stocha, tmp_path / "out", model.eval())


@pytest.mark.parametrize(
    "architecture,changes",
    [
        ("llama", dict(head_dim=64, rope_parameters=LLAMA3_ROPE)),
        ("llama", dict(head_dim=64, rope_parameters=LLAMA3_ROPE | {"factor": 8.0})),
        ("llama", dict(rope_parameters=LINEAR_ROPE, tie_word_embeddings=True)),
        ("qwen2", dict(tie_word_embeddings=True, max_position_embeddings=77)),
        ("qwen3", dict(head_dim=64, num_key_value_heads=8)),
    ],
    ids=["llama3.2", "llama3.1", "linear", "qwen2-tied", "qwen3-heads"],
)
def test_what_transformers_does_not_read_is_that_of_the_model_written(
    stocha, tmp_path, architecture, changes
):
    model = random_model(architecture, **changes)
    path = write_model(tmp_path / "model.gguf", model)
    run_ok(stocha, "convert", path, tmp_path / "out")
    assert_same_logits(stocha, tmp_path / "out", model)
    got = transformers.AutoConfig.from_pretrained(tmp_path / "out")
    for key in ("rms_norm_eps", "tie_word_embeddings", "max_position_embeddings", "hidden_act"):
        assert getattr(got, key) == getattr(model.config, key), key
    assert got.rope_parameters == model.config.rope_parameters


def test_the_dtype_that_rounds_nothing_is_chosen(stocha, tmp_path):
    def dtype_of(kind, model, *flags):
        path = write_model(tmp_path / "model.gguf", model, kind)
        run_ok(stocha, "convert", path, tmp_path / "out", *flags)
        dtypes = {tensor.dtype for tensor in load_file(tmp_path / "out/model.safetensors").values()}
        assert len(dtypes) == 1
        return dtypes.pop()

    model = random_model("llama")
    assert dtype_of(Type.BF16, model) == torch.float32  # norms of full precision
    assert dtype_of(Type.Q8_0, model, "--dtype", "bf16") == torch.bfloat16
    model = model.to(torch.bfloat16)
    assert dtype_of(Type.BF16, model) == torch.bfloat16
    assert dtype_of(Type.F16, model.half()) == torch.float16
    assert dtype_of(Type.Q8_0, model) == torch.float32


def add(method, *args):
    return lambda writer: getattr(writer, method)(*args)


@pytest.mark.parametrize(
    "change,needles",
    [
        (add("add_expert_count", 8), ["llama.expert_count"]),
        (add("add_sliding_window", 64), ["llama.attention.sliding_window"]),
        (add("add_attn_logit_softcapping", 30.0), ["llama.attn_logit_softcapping"]),
        (add("add_rope_scaling_type", gguf.RopeScalingType.YARN), ["rope.scaling.type", "yarn"]),
        (add("add_uint32", "split.count", 2), ["a part of a model"]),
        (add("add_bos_token_id", 97), ["bos_token_id", "97"]),
        (add("add_tokenizer_model", "llama"), ["tokenizer.ggml.model", "llama"]),
        (add("add_tensor", "rope_freqs.weight", np.full(16, 3, np.float32)), ["rope_freqs.weight"]),
        (add("add_tensor", "blk.0.attn_q.bias", np.zeros(256, np.float32)), ["blk.0.attn_q.bias"]),
        (add("add_tensor", "x.weight", np.zeros((1, 18), np.uint8), None, Type.Q4_0), ["x.weight"]),
        (add("add_tensor", "x.weight", np.zeros((1, 84), np.uint8), None, Type.Q2_K), ["Q2_K"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_what_is_not_computed_is_refused(stocha, tmp_path, change, needles):
    path = write_model(tmp_path / "model.gguf", random_model("llama"), change=change)
    assert_one_line_error(run(stocha, "convert", path, tmp_path / "out"), *needles)
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.gguf"]


def test_bad_input_is_refused(stocha, tmp_path):
    path = write_model(tmp_path / "model.gguf", random_model("llama"))
    out = tmp_path / "out"
    whole = path.read_bytes()
    for size in [0, 3, 30, 1000, len(whole) - 1000]:
        (tmp_path / "cut.gguf").write_bytes(whole[:size])
        assert_one_line_error(run(stocha, "convert", tmp_path / "cut.gguf", out), "cut.gguf")
    (tmp_path / "other.gguf").write_text(json.dumps({"a": 1}))
    assert_one_line_error(run(stocha, "convert", tmp_path / "other.gguf", out), "no GGUF")
    assert_one_line_error(run(stocha, "convert", tmp_path / "none.gguf", out), "none.gguf")
    assert_one_line_error(run(stocha, "convert", path, out, "--dtype", "f8"), "--dtype", code=2)
    assert not out.exists()
    out.mkdir()
    (out / "cat.jpg").write_text("meow")
    assert_one_line_error(run(stocha, "convert", path, out), "out", "other files")
    assert [entry.name for entry in out.iterdir()] == ["cat.jpg"]
