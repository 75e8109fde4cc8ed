"""The engine against transformers: logits of the same models; and that neither threads nor skipping
silent neurons change a bit of them."""

import os

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file

from harness import run_ok
from random_models import SMALL, config, reference_logits, save_random_model

LLAMA3_ROPE = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
    "rope_theta": 500000.0,
}
LINEAR_ROPE = {"rope_type": "linear", "factor": 2.5, "rope_theta": 10000.0}
MODELS = {
    "llama-relu": (config("llama", hidden_act="relu", head_dim=14), torch.float32),
    "llama-silu-tied-llama3-rope": (
        config("llama", head_dim=22, tie_word_embeddings=True, rope_parameters=LLAMA3_ROPE),
        torch.float32,
    ),
    "llama-relu2-bf16-linear-rope": (
        config("llama", hidden_act="relu2", head_dim=6, rope_parameters=LINEAR_ROPE),
        torch.bfloat16,
    ),
    # Without head_dim.
    "llama-f16": (
        config("llama", hidden_size=42, num_attention_heads=3, num_key_value_heads=1),
        torch.float16,
    ),
    "qwen2-relu": (config("qwen2", hidden_act="relu", hidden_size=60), torch.float32),
    "qwen2-silu-tied": (
        config("qwen2", hidden_size=36, num_key_value_heads=6, tie_word_embeddings=True),
        torch.float32,
    ),
    "qwen3-relu": (
        config(
            "qwen3", hidden_act="relu", num_attention_heads=9, num_key_value_heads=3, head_dim=10
        ),
        torch.float32,
    ),
    "qwen3-silu-bf16": (config("qwen3", head_dim=8, rope_parameters=LINEAR_ROPE), torch.bfloat16),
}
IDS = np.random.default_rng(0).integers(0, SMALL["vocab_size"], 77).tolist()


@pytest.fixture(scope="module", params=MODELS)
def saved(request, tmp_path_factory):
    return save_random_model(*MODELS[request.param], tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def relu(tmp_path_factory):
    return save_random_model(*MODELS["llama-relu"], tmp_path_factory.mktemp("relu"))


@pytest.fixture
def logits_of(stocha, tmp_path):
    """A function: the file that `stocha logits` writes, as bytes, and its tensor."""

    def call(folder, *args, ids=IDS, isa=None):
        output = tmp_path / "logits.safetensors"
        environment = os.environ | ({"STOCHA_ISA": isa} if isa else {})
        arguments = ["--ids", ",".join(map(str, ids)), "--output", output, *args]
        run_ok(stocha, "logits", folder, *arguments, env=environment)
        return output.read_bytes(), load_file(output)["logits"]

    return call


def assert_close(got, expected):
    """Within 1e-4 of the norm, and 1e-3 of the largest."""
    assert got.dtype == torch.float32 and got.shape == expected.shape
    assert (got - expected).norm() <= 1e-4 * expected.norm()
    assert (got - expected).abs().max() <= 1e-3 * expected.abs().max()


def test_logits_equal_transformers(saved, logits_of, isas):
    expected = reference_logits(saved.model, IDS)
    for isa in isas:
        assert_close(logits_of(saved.folder, isa=isa)[1], expected)


def test_threads_and_skipping_do_not_change_a_bit(saved, logits_of, isas):
    for isa in isas:
        files = {
            logits_of(saved.folder, "--threads", threads, "--ffn", ffn, isa=isa)[0]
            for threads, ffn in ((1, "dense"), (1, "exact"), (2, "exact"), (3, "auto"))
        }
        assert len(files) == 1, isa


def test_vector_instruction_sets_agree_to_the_bit(relu, logits_of, isas):
    assert len({logits_of(relu.folder, isa=isa)[0] for isa in isas[1:]}) <= 1


def test_the_engines_own_tests_pass_with_every_instruction_set(build_dir, isas):
    for isa in isas:
        environment = os.environ | {"STOCHA_ISA": isa}
        run_ok(build_dir / "engine_test", "--gtest_brief=1", env=environment, timeout=300)


def philox(key, counter):
    """Philox4x32-10 over arrays of counters, [..., 4]."""
    c = [counter[..., i].astype(np.uint64) for i in range(4)]
    k = [np.uint64(key & 0xFFFFFFFF), np.uint64(key >> 32)]
    low = np.uint64(0xFFFFFFFF)
    for _ in range(10):
        a, b = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        high_a, high_b = a >> np.uint64(32), b >> np.uint64(32)
        c = [high_b ^ c[1] ^ k[0], b & low, high_a ^ c[3] ^ k[1], a & low]
        k = [(k[0] + np.uint64(0x9E3779B9)) & low, (k[1] + np.uint64(0xBB67AE85)) & low]
    return np.stack(c, axis=-1)


def coins(seed, layer, tokens, neurons, p):
    """[tokens, neurons] of booleans, as model/activation.h defines them."""
    row, block = np.meshgrid(np.arange(tokens), np.arange((neurons + 7) // 8), indexing="ij")
    counter = np.stack([block, row, np.full_like(row, layer), np.zeros_like(row)], axis=-1)
    words = philox(seed, counter)  # [tokens, blocks, 4]
    lanes = np.stack([words & np.uint64(0xFFFF), words >> np.uint64(16)], axis=-1)
    bits = lanes.reshape(tokens, -1)[:, :neurons]
    return torch.from_numpy(bits < np.uint64(round(p * 65536)))


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("kind", ["stocha", "expected"])
def test_stochastic_logits_equal_a_torch_reference(relu, logits_of, kind, p, monkeypatch):
    seed = 0x123456789ABCDEF
    silu = torch.nn.functional.silu

    def activation(layer):
        def call(x):
            if kind == "expected":
                return torch.where(x < 0, p * silu(x), x)
            coin = coins(seed, layer, x.shape[1], x.shape[2], p)
            return torch.where(x < 0, torch.where(coin, silu(x), 0), x)

        return call

    for index, layer in enumerate(relu.model.model.layers):
        monkeypatch.setattr(layer.mlp.act_fn, "forward", activation(index))
    flags = ["--activation", f"{kind}:{p}", "--seed", seed]
    sparse, tensor = logits_of(relu.folder, *flags, "--ffn", "exact")
    assert_close(tensor, reference_logits(relu.model, IDS))
    assert sparse == logits_of(relu.folder, *flags, "--ffn", "dense", "--threads", 2)[0]


@pytest.mark.parametrize("activation", ["silu", "relu2"])
def test_activation_is_a_flag(relu, logits_of, activation, monkeypatch):
    act = transformers.activations.ACT2FN[activation]
    for layer in relu.model.model.layers:
        monkeypatch.setattr(layer.mlp.act_fn, "forward", act.forward)
    tensor = logits_of(relu.folder, "--activation", activation)[1]
    assert_close(tensor, reference_logits(relu.model, IDS))
