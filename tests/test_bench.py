"""stocha bench: what it counts against transformers and the gguf package, and what it refuses."""

import json
import os
import signal
import subprocess
import time

import gguf
import pytest
import torch

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, save_talking_model

MODES = ["dense", "exact", "screened"]
SHAPE = "256,2048,2,4,2,320"
QUICK = ["--read-bandwidth", 20, "--rounds", 1, "--threads", 2]


def bench(stocha, *args):
    return json.loads(run_ok(stocha, "bench", *args, *QUICK, "--json"))


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def shape_bench(stocha, cache, *args):
    return bench(stocha, "--shape", SHAPE, "--cache", cache, *args)


def test_json_has_every_figure_of_every_mode(stocha, cache):
    shown = shape_bench(stocha, cache, "--prompt-tokens", 8, "--gen-tokens", 8)
    figures = ["decode_tokens_per_s", "prefill_tokens_per_s", "ffn_us_per_token", "bytes_per_token"]
    for figure in figures:
        assert list(shown[figure]) == MODES
        assert all(shown[figure][mode] > 0 for mode in MODES), figure
    for figure in figures[:3]:
        values = shown["rounds"][figure]["exact"]
        assert values["values"] == [shown[figure]["exact"]]
        assert values["min"] == values["max"] == shown[figure]["exact"]
    assert shown["read_bandwidth_gb_s"] == 20
    assert shown["machine"]["cores"] >= 1 and shown["machine"]["isa"]
    share = shown["bytes_per_token"]["dense"] * shown["decode_tokens_per_s"]["dense"] / 20e9
    assert shown["share_of_bandwidth"]["dense"] == pytest.approx(share)


@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.97])
def test_sparsity_of_a_shape_is_what_was_asked_for(stocha, cache, sparsity):
    shown = shape_bench(stocha, cache, "--sparsity", sparsity, "--gen-tokens", 200, "--ffn", "exact")
    assert shown["active_fraction"] == pytest.approx(1 - sparsity, abs=0.005)
    assert shown["decode_tokens_per_s"]["dense"] is None


@pytest.mark.parametrize("kind", ["q8_0", "q4_0", "q4_k", "mixed", "bf16", "f32"])
def test_dense_reads_every_matrix_once_a_token(stocha, tmp_path, kind):
    size = ["--prompt-tokens", 5, "--gen-tokens", 3, "--ffn", "dense"]
    shown = shape_bench(stocha, tmp_path, "--type", kind, *size)
    (file,) = tmp_path.iterdir()
    matrices = [t for t in gguf.GGUFReader(file).tensors if len(t.shape) == 2]
    keys_and_values = 2 * 2 * 128 * 4 * (5 + 2)  # layers, kv_size, f32, positions in the mean
    total = sum(int(t.n_bytes) for t in matrices) + keys_and_values
    assert shown["bytes_per_token"]["dense"] == total


def test_firing_neurons_on_a_text_are_those_of_transformers(stocha, talking, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT * 4, encoding="utf-8")
    prompt, decoded = 30, 20
    ids = talking.tokenizer.encode(TEXT * 4).ids[: prompt + decoded]
    fired = []
    hooks = [
        layer.mlp.gate_proj.register_forward_hook(
            lambda module, inputs, gate: fired.append((gate[0, prompt:] > 0).float().mean().item())
        )
        for layer in talking.model.model.layers
    ]
    with torch.no_grad():
        talking.model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    size = ["--prompt-tokens", prompt, "--gen-tokens", decoded]
    shown = bench(stocha, talking.folder, "--text", file, *size)
    assert shown["active_fraction_by_layer"] == pytest.approx(fired, abs=1e-3)
    assert shown["active_fraction"] == pytest.approx(sum(fired) / len(fired), abs=1e-3)


def test_a_batch_shares_the_weights(stocha, cache):
    size = ["--prompt-tokens", 4, "--gen-tokens", 4, "--ffn", "dense"]
    alone = shape_bench(stocha, cache, *size)["bytes_per_token"]["dense"]
    four = shape_bench(stocha, cache, *size, "--batch", 4)["bytes_per_token"]["dense"]
    assert four < 0.4 * alone


def test_the_table_says_what_was_measured(stocha, cache):
    size = ["--prompt-tokens", 4, "--gen-tokens", 4]
    shown = run_ok(stocha, "bench", "--shape", SHAPE, "--cache", cache, *size, *QUICK)
    for words in ["random weights", "by layer:", "decode, tok/s", "share of bandwidth", *MODES]:
        assert words in shown


@pytest.mark.parametrize(
    "args, needles, code",
    [
        ([], ["MODEL", "--shape"], 2),
        (["--shape", "llama-9b"], ["llama-9b", "llama-3.2-1b"], 2),
        (["--shape", "64,160,3,5,2,100"], ["64,160,3,5,2,100"], 2),
        (["--shape", SHAPE, "--type", "q9"], ["q9"], 2),
        (["--shape", SHAPE, "--sparsity", "0.2"], ["--sparsity", "0.2", "0.5"], 2),
        (["--shape", SHAPE, "--sparsity", "nan"], ["--sparsity", "0.5"], 2),
        (["--shape", SHAPE, "--ffn", "sparse"], ["sparse"], 2),
        (["--shape", SHAPE, "--ffn", "auto"], ["auto"], 2),
        (["--shape", SHAPE, "--prefill", "quick"], ["--prefill", "quick", "exact or fast"], 2),
        (["--shape", SHAPE, "--activation", "tanh"], ["--activation", "tanh", "relu"], 2),
        (["--shape", SHAPE, "--batch", "65"], ["65"], 2),
        (["--shape", SHAPE, "--gen-tokens", "0"], ["gen-tokens"], 2),
        (["--shape", SHAPE, "--text", "text.txt"], ["--text"], 2),
        (["--shape", SHAPE, "--prompt-tokens", "131072"], ["context"], 1),
        (["--shape", "16384,65536,100,128,8,500000", "--type", "f32"], ["memory", "GB"], 1),
        (["no-such-model", "--text", "text.txt"], ["no-such-model"], 1),
        (["no-such-model"], ["--text"], 2),
    ],
)
def test_refuses_in_one_line(stocha, tmp_path, args, needles, code):
    # The progress lines that come before are no error.
    result = run(stocha, "bench", *args, "--cache", tmp_path / "cache", *QUICK, cwd=tmp_path)
    result.stderr = result.stderr.splitlines(keepends=True)[-1]
    assert_one_line_error(result, *needles, code=code)
    assert result.stdout == ""


def test_refuses_a_text_that_is_too_short(stocha, talking, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text("short", encoding="utf-8")
    result = run(stocha, "bench", talking.folder, "--text", file)
    assert_one_line_error(result, file, "640", "--gen-tokens")


def test_ctrl_c_ends_it_and_leaves_no_half_file(stocha, tmp_path):
    args = ["--shape", "1024,4096,8,8,8,32000", "--cache", tmp_path, "--rounds", 1000]
    process = subprocess.Popen(
        [str(stocha), "bench", *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and out == b""
    assert b"bench: interrupted" in err
    assert all(path.suffix == ".gguf" for path in tmp_path.iterdir())
