"""stocha calibrate: neurons in the order in which transformers says they fire, and the same model."""

import json
import signal
import subprocess

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, reference_logits, save_talking_model

LAYERS = 3
NEURONS = 333
GATE = "model.layers.{}.mlp.gate_proj.weight"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    return save_talking_model(folder, deviation=0.1, hidden_size=64, num_attention_heads=8)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="module")
def trained(stocha, model):
    path = model.folder / "trained.gguf"
    run_ok(stocha, "quantize", model.folder, path, "--type", "f32")
    return path


@pytest.fixture(scope="module")
def hot(stocha, trained, text):
    path = trained.with_name("hot.gguf")
    run_ok(stocha, "calibrate", trained, path, "--text", text)
    return path


def gates_of(path):
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    return [np.asarray(tensors[GATE.format(layer)].data) for layer in range(LAYERS)]


def fired(model, text):
    """How often each neuron of each layer fires, as transformers computes it."""
    counts = [None] * LAYERS
    handles = []
    for index, layer in enumerate(model.model.model.layers):

        def count(module, inputs, output, index=index):
            counts[index] = (output[0] > 0).sum(0).numpy()

        handles.append(layer.mlp.gate_proj.register_forward_hook(count))
    reference_logits(model.model, model.tokenizer.encode(text.read_text()).ids)
    for handle in handles:
        handle.remove()
    return counts


def test_neurons_stand_as_they_fire(stocha, model, trained, hot, text):
    counts = fired(model, text)
    tokens = len(model.tokenizer.encode(TEXT).ids)
    tenths = json.loads(run_ok(stocha, "inspect", hot, "--json"))["fired_by_tenth"]
    expected = np.zeros(10)
    for layer, (before, after) in enumerate(zip(gates_of(trained), gates_of(hot))):
        index = {row.tobytes(): i for i, row in enumerate(before)}
        order = [index[row.tobytes()] for row in after]
        assert sorted(order) == list(range(NEURONS))
        in_order = counts[layer][order]
        assert (np.diff(in_order) <= 0).all() and in_order[0] > in_order[-1]
        bounds = np.arange(11) * NEURONS // 10
        means = [in_order[a:b].mean() for a, b in zip(bounds[:-1], bounds[1:])]
        expected += np.array(means) / tokens / LAYERS
    np.testing.assert_allclose(tenths, expected, rtol=1e-5)


def test_the_model_is_the_same(stocha, model, trained, hot, tmp_path):
    def logits(path, *flags):
        out = tmp_path / "logits"
        run_ok(stocha, "logits", path, "--ids", "5,6,7,8,9,10,11", "--output", out, *flags)
        return safetensors.torch.load_file(out)["logits"]

    dense = logits(hot, "--ffn", "dense")
    torch.testing.assert_close(dense, logits(trained), rtol=1e-4, atol=1e-4)
    reference = reference_logits(model.model, [5, 6, 7, 8, 9, 10, 11])
    torch.testing.assert_close(dense, reference, rtol=1e-4, atol=1e-4)
    assert torch.equal(logits(hot, "--ffn", "exact", "--threads", 3), dense)
    ids = json.loads(run_ok(stocha, "encode", hot, input=TEXT))
    assert ids == model.tokenizer.encode(TEXT).ids


def test_inspect_and_quantize_keep_the_order(stocha, trained, hot, tmp_path):
    assert "hot first" in run_ok(stocha, "inspect", hot)
    assert "neuron_order" not in json.loads(run_ok(stocha, "inspect", trained, "--json"))
    again = tmp_path / "again.gguf"
    run_ok(stocha, "quantize", hot, again, "--type", "q8_0")
    shown = json.loads(run_ok(stocha, "inspect", again, "--json"))
    assert shown["neuron_order"] == "hot first"


def test_refusals(stocha, model, trained, text, tmp_path):
    out = tmp_path / "out.gguf"
    calibrate = ("calibrate", model.folder, out, "--text", text)
    assert_one_line_error(run(stocha, *calibrate), "not a packed model", "stocha quantize")
    missing = ("calibrate", trained, out, "--text", tmp_path / "none.txt")
    assert_one_line_error(run(stocha, *missing), "none.txt")
    empty = tmp_path / "empty.txt"
    empty.write_text("")
    assert_one_line_error(run(stocha, "calibrate", trained, out, "--text", empty), "empty.txt")
    refused = run(stocha, "calibrate", trained, out, "--text", text, "--activation", "silu")
    assert_one_line_error(refused, "every neuron fires", "silu", "relu")
    unknown = run(stocha, "calibrate", trained, out, "--text", text, "--activation", "tanh")
    assert_one_line_error(unknown, "--activation", "tanh", code=2)
    rows = tmp_path / "rows.gguf"
    run_ok(stocha, "quantize", model.folder, rows, "--type", "f32", "--layout", "rows")
    refused = run(stocha, "calibrate", rows, out, "--text", text)
    assert_one_line_error(refused, "rows.gguf", "--layout neurons")
    assert not out.exists()


def test_ctrl_c_leaves_nothing(stocha, trained, tmp_path):
    long = tmp_path / "long.txt"
    long.write_text(TEXT * 20000)
    out = tmp_path / "out.gguf"
    command = [stocha, "calibrate", trained, out, "--text", long, "--tokens", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = ""
    while "calibrate" not in line:  # the first line of progress: tokens are going through
        line = process.stderr.readline()
        assert line, "it ended by itself"
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 1 and "interrupted" in error
    assert list(tmp_path.iterdir()) == [long]


def test_64_threads_end_in_time_with_the_same_tokens(stocha, hot):
    prompt = ("generate", hot, "--prompt", "In the", "--max-tokens", 40)
    one = run_ok(stocha, *prompt, "--threads", 1)
    assert run_ok(stocha, *prompt, "--threads", 64, timeout=30) == one
