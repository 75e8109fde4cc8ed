"""stocha calibrate: neurons in the order in which transformers says they fire, and the same model; with
--sparsity, thresholds that give it the sparsity asked for."""

import json
import signal
import subprocess
import xml.etree.ElementTree

import gguf
import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

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


def silent_by_layer(model, text, thresholds):
    """The fraction of gates not above the thresholds, in transformers, with them applied."""
    silent, handles = [0.0] * LAYERS, []
    for index, layer in enumerate(model.model.model.layers):

        def silence(module, inputs, output, index=index):
            fires = output > thresholds[index]
            silent[index] = 1 - fires.float().mean().item()
            return output * fires

        handles.append(layer.mlp.gate_proj.register_forward_hook(silence))
    logits = reference_logits(model.model, model.tokenizer.encode(text).ids)
    for handle in handles:
        handle.remove()
    return silent, logits


@pytest.fixture(scope="module")
def sparse(stocha, trained, text):
    path = trained.with_name("sparse.gguf")
    command = ("calibrate", trained, path, "--text", text, "--sparsity", 0.7, "--json")
    return path, json.loads(run_ok(stocha, *command))


def test_thresholds_reach_the_sparsity_asked_for(stocha, model, sparse, text, tmp_path):
    path, told = sparse
    none, point = told["points"]
    assert none["asked"] is None and none["thresholds"] is None and none["sparsity"] < 0.6
    assert point["asked"] == 0.7 and abs(point["sparsity"] - 0.7) < 0.005
    thresholds = point["thresholds"]
    shown = json.loads(run_ok(stocha, "inspect", path, "--json"))
    assert shown["thresholds"] == thresholds and len(thresholds) == LAYERS
    assert shown["neuron_order"] == "hot first"
    assert "thresholds" in run_ok(stocha, "inspect", path)
    # transformers, told to silence the same gates, finds the same sparsity, and the same logits.
    silent, expected = silent_by_layer(model, TEXT, thresholds)
    assert abs(np.mean(silent) - 0.7) < 0.005
    np.testing.assert_allclose(silent, point["sparsity_by_layer"], atol=0.002)
    ids = ",".join(map(str, model.tokenizer.encode(TEXT).ids))
    run_ok(stocha, "logits", path, "--ids", ids, "--output", tmp_path / "logits")
    logits = safetensors.torch.load_file(tmp_path / "logits")["logits"]
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


def test_layers_share_the_sparsity_equally_or_by_harm(stocha, trained, text, tmp_path):
    spread = {}
    for sharing in ("equal", "harm"):
        command = ("calibrate", trained, tmp_path / "out.gguf", "--text", text, "--json")
        told = json.loads(run_ok(stocha, *command, "--sparsity", 0.8, "--sharing", sharing))
        layers = told["points"][1]["sparsity_by_layer"]
        assert abs(np.mean(layers) - 0.8) < 0.005
        spread[sharing] = max(layers) - min(layers)
    assert spread["equal"] < 0.02 and spread["harm"] > 2 * spread["equal"]


def test_a_model_sparse_enough_gets_no_thresholds(stocha, trained, text, tmp_path):
    out = tmp_path / "same.gguf"
    command = (stocha, "calibrate", trained, out, "--text", text, "--sparsity", 0.2)
    done = run(*command)
    assert done.returncode == 0 and "gets none" in done.stderr
    assert "thresholds" not in json.loads(run_ok(stocha, "inspect", out, "--json"))


def test_the_curve_is_what_eval_measures(stocha, trained, sparse, text, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text(TEXT[::-1] * 4)
    page = tmp_path / "curve.html"
    curve = ("calibrate", trained, "--text", text, "--validation", other)
    asked = ("--sparsity", "0.6,0.7,0.9", "--html", page)
    told = json.loads(run_ok(stocha, *curve, *asked, "--json"))
    assert [point["asked"] for point in told["points"]] == [None, 0.6, 0.7, 0.9]
    for point in told["points"][1:]:
        assert abs(point["sparsity"] - point["asked"]) < 0.005
    sparsities = [point["validation"]["sparsity"] for point in told["points"]]
    assert sorted(sparsities) == sparsities
    for path, point in ((trained, told["points"][0]), (sparse[0], told["points"][2])):
        evaluated = json.loads(run_ok(stocha, "eval", path, "--perplexity", other, "--json"))
        perplexity = evaluated["results"][0]["perplexity"]
        # The neurons of the written model are summed in another order.
        assert abs(point["validation"]["perplexity"] / perplexity - 1) < 1e-5
    xml.etree.ElementTree.parse(page)
    assert "90 %" in page.read_text()
    table = run_ok(stocha, *curve)
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["none", *"50 60 70 80 90".split()]


def test_calibrated_again_the_old_thresholds_count_for_nothing(stocha, sparse, text, tmp_path):
    path, told = sparse
    out = tmp_path / "again.gguf"
    command = ("calibrate", path, out, "--text", text, "--sparsity", 0.6, "--json")
    again = json.loads(run_ok(stocha, *command))["points"]
    assert again[0]["sparsity"] == pytest.approx(told["points"][0]["sparsity"], abs=1e-4)
    assert abs(again[1]["sparsity"] - 0.6) < 0.005
    # Without --sparsity they stay.
    run_ok(stocha, "calibrate", path, out, "--text", text)
    shown = json.loads(run_ok(stocha, "inspect", out, "--json"))
    assert shown["thresholds"] == told["points"][1]["thresholds"]


def test_thresholds_are_written_with_the_activation_that_they_are_for(stocha, trained, text, tmp_path):
    out = tmp_path / "out.gguf"
    command = ("calibrate", trained, out, "--text", text, "--activation", "relu2")
    for flags, activation in ((("--sparsity", 0.7), "relu2"), ((), "relu")):
        run_ok(stocha, *command, *flags)
        assert json.loads(run_ok(stocha, "inspect", out, "--json"))["activation"] == activation


def test_thresholds_go_along_and_are_marked(stocha, sparse, tmp_path):
    path, told = sparse
    thresholds = told["points"][1]["thresholds"]
    folder, again = tmp_path / "folder", tmp_path / "again.gguf"
    run_ok(stocha, "convert", path, folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["StochaForCausalLM"] and config["model_type"] == "stocha"
    assert config["stocha_thresholds"] == thresholds and config["activation"] == "relu"
    with pytest.raises(ValueError):  # as any other loader should
        transformers.AutoModelForCausalLM.from_pretrained(folder)
    assert json.loads(run_ok(stocha, "inspect", folder, "--json"))["thresholds"] == thresholds
    run_ok(stocha, "quantize", folder, again, "--type", "f32")
    assert json.loads(run_ok(stocha, "inspect", again, "--json"))["thresholds"] == thresholds

    prompt = ("--prompt", "In the", "--max-tokens", 40)
    said = [run_ok(stocha, "generate", model, *prompt) for model in (path, folder, again)]
    assert said[0] == said[1] == said[2]
    for mode in ("dense", "exact", "screened"):
        assert run_ok(stocha, "generate", path, *prompt, "--ffn", mode) == said[0]


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
    refused = run(stocha, "calibrate", trained, "--text", text)
    assert_one_line_error(refused, "OUT", "--validation", code=2)
    curve = ("calibrate", trained, out, "--text", text, "--sparsity", "0.6,0.7")
    assert_one_line_error(run(stocha, *curve), "one --sparsity", code=2)
    alone = ("calibrate", trained, out, "--text", text, "--validation", text)
    assert_one_line_error(run(stocha, *alone), "--sparsity", code=2)
    page = ("calibrate", trained, out, "--text", text, "--sparsity", "0.6", "--html", "page.html")
    assert_one_line_error(run(stocha, *page), "--html", "--validation", code=2)
    most = ("calibrate", trained, out, "--text", text, "--sparsity", "70")
    assert_one_line_error(run(stocha, *most), "--sparsity", "70", code=2)
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
