"""`stocha relufy`: a SiLU model becomes a sparse ReLU one."""

import json
import math
import shutil
import signal
import statistics
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import transformers

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, save_talking_model

SMALL = ["--set", "data.sequence_length=32", "--set", "training.batch_size=4",
         "--set", "training.validate_every=0", "--threads", 1]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("silu")
    save_talking_model(folder, hidden_act="silu")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages }}"}))
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text(TEXT * 60)
    return path


def metrics(output):
    lines = (output / "run/metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def test_a_silu_model_becomes_a_relu_model(stocha, model, text, tmp_path):
    output = tmp_path / "out"
    summary = json.loads(run_ok(stocha, "relufy", model, "--text", text, "--output", output,
                                "--tokens", 6400, "--json", *SMALL))
    before = {loss["activation"]: loss["loss"] for loss in summary["validation_at_start"]}
    assert list(before) == ["silu", "relu"]
    end, = summary["validation_at_end"]
    assert end["activation"] == "relu" and end["loss"] < before["relu"]
    assert summary["steps"] == 50 and summary["tokens"] == 6400

    steps = [line for line in metrics(output) if line["type"] == "step"]
    assert {step["activation"] for step in steps} == {"relu"}
    # What the fit has won stands at the first step.
    run_ok(stocha, "relufy", model, "--text", text, "--output", tmp_path / "bare", "--tokens", 128,
           "--teacher", "kl", *SMALL)
    bare = [line for line in metrics(tmp_path / "bare") if line["type"] == "step"]
    assert steps[0]["distillation"] < 0.5 * bare[0]["distillation"]
    assert np.mean(steps[-1]["sparsity"]) > 0.3

    final = output / "run/final"
    exported = transformers.AutoModelForCausalLM.from_pretrained(final, dtype=torch.float32)
    assert exported.config.hidden_act == "relu"
    # What makes a chat model one comes along.
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (final / name).read_bytes() == (model / name).read_bytes()
    exact = json.loads(run_ok(stocha, "generate", final, "--prompt", "In the", "--max-tokens", 8,
                              "--ignore-eos", "--ffn", "exact", "--json"))
    dense = json.loads(run_ok(stocha, "generate", final, "--prompt", "In the", "--max-tokens", 8,
                              "--ignore-eos", "--ffn", "dense", "--json"))
    assert exact["samples"] == dense["samples"]
    assert np.mean(exact["decode"]["sparsity"]) > 0.3


def test_from_silu_by_way_of_draws(stocha, model, text, tmp_path):
    """Layer by layer first, while p falls; then the fit; the last part with ReLU."""
    output = tmp_path / "out"
    schedule = ('activation=[{until=0.4, activation="stocha:1,blend", anneal_to=0}, '
                '{activation="relu"}]')
    result = run(stocha, "relufy", model, "--text", text, "--output", output, "--tokens", 6400,
                 "--set", schedule, "--set", "distill.layerwise_until=0.4",
                 "--set", "distill.fit_at=0.4", "--set", "distill.fit_tokens=2000", *SMALL)
    assert result.returncode == 0, result.stderr
    assert "projections fitted on 2016 tokens: error" in result.stderr
    steps = [line for line in metrics(output) if line["type"] == "step"]
    assert [step["loss"] is None for step in steps] == [True] * 20 + [False] * 30
    p = [step["p"] for step in steps]
    assert p[0] == 1 and p[19] == 0 and all(a >= b for a, b in zip(p, p[1:]))
    # It starts as its own teacher.
    assert steps[0]["distillation"] == 0 < steps[19]["distillation"]
    assert steps[-1]["activation"] == "relu"


def test_a_killed_relufy_goes_on(stocha, model, text, tmp_path):
    def command(output):
        return [str(x) for x in (stocha, "relufy", model, "--text", text, "--output", output,
                                 "--tokens", 2560, "--set", "training.checkpoint_every=2", *SMALL)]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    subprocess.run(command(whole), check=True, capture_output=True, timeout=120)
    process = subprocess.Popen(command(killed), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (killed / "run/checkpoints/step-00000004").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    subprocess.run(command(killed), check=True, capture_output=True, timeout=120)
    weights = "run/final/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()


def test_conversations_and_a_recipe(stocha, model, text, tmp_path):
    (tmp_path / "chat.jsonl").write_text(
        "".join(json.dumps({"text": f"{i} asked. {TEXT}"}) + "\n" for i in range(40)))
    (tmp_path / "mine.toml").write_text("[training]\nsteps = 2\nl1 = 0.01\n")
    output = tmp_path / "out"
    run_ok(stocha, "relufy", model, "--text", text, "--conversations", tmp_path / "chat.jsonl",
           "--recipe", tmp_path / "mine.toml", "--teacher", "none", "--output", output, *SMALL)
    recipe = (output / "run/recipe.toml").read_text()
    assert "steps = 2" in recipe and "l1 = 0.01" in recipe and 'teacher = ""' in recipe
    assert "conversations/train.tokens" in recipe
    assert all("distillation" not in line for line in metrics(output))


def test_a_dry_run_trains_nothing(stocha, model, text, tmp_path):
    plan = json.loads(run_ok(stocha, "relufy", model, "--text", text, "--output", tmp_path / "out",
                             "--tokens", 1280, "--dry-run", "--json", *SMALL))
    assert plan["steps"] == 10 and plan["tokens_per_s"] > 0
    assert not (tmp_path / "out/run").exists()
    assert "[[activation]]" in run_ok(stocha, "relufy", "--defaults")


def test_what_cannot_be_relufied_is_one_line(stocha, model, text, tmp_path):
    output = tmp_path / "out"

    def refused(*needles, model=model, text=text, flags=(), code=1):
        result = run(stocha, "relufy", model, "--text", text, "--output", output, *flags)
        assert_one_line_error(result, *needles, code=code)
        assert not output.exists()

    relu, bare = tmp_path / "relu", tmp_path / "bare"
    relu.mkdir()
    save_talking_model(relu, hidden_act="relu")
    refused("sparse already", "activation relu", "stocha generate", model=relu)
    shutil.copytree(model, bare)
    (bare / "tokenizer.json").unlink()
    refused("no tokenizer.json", model=bare)
    refused("gone", model=tmp_path / "gone")
    refused("a model folder", "stocha convert", model=text)
    refused("no.txt", text=tmp_path / "no.txt")
    refused("every neuron fire", "stocha:0.5", flags=("--set", 'activation=[{activation="stocha:0.5"}]'))
    refused("training.stepz", flags=("--set", "training.stepz=3"))
    refused("--teacher", "both", flags=("--teacher", "me"), code=2)
    assert_one_line_error(run(stocha, "relufy", model, "--text", text), "--output", code=2)


PROOF = """[text]
tokenizer = "{model}/tokenizer.json"
train = ["{text}"]
validation_fraction = 0.2

[base.model]
init_from = "{model}"

[base.data]
sequence_length = 32

[base.training]
steps = 3
batch_size = 2
compute_type = "f32"
threads = 1

[[setting]]
name = "tiny"

[[arm]]
name = "silu"
recipe.activation = [{{ activation = "silu" }}]

[[arm]]
name = "relu"
recipe.activation = [{{ activation = "relu" }}]
"""


def write_evaluation_sets(folder):
    words = TEXT.split()
    choice = {"query": words[0], "choices": words[1:3], "gold": 1}
    (folder / "wikitext2-valid.txt").write_text(TEXT)
    for name in ("piqa", "arc_easy"):
        (folder / f"{name}.jsonl").write_text(json.dumps(choice) + "\n")
    (folder / "lambada_openai.jsonl").write_text(
        json.dumps({"context": " ".join(words[:6]), "continuation": words[6]}) + "\n")


def test_the_proof_evaluates_every_arm_once(stocha, repo, model, text, tmp_path):
    (tmp_path / "proof.toml").write_text(PROOF.format(model=model, text=text))
    runs, output = tmp_path / "runs", tmp_path / "proof.json"
    run_ok(stocha, "experiment", tmp_path / "proof.toml", "--output", runs, timeout=120)
    write_evaluation_sets(tmp_path)
    command = [sys.executable, repo / "tools/relufy_proof.py", runs, "--data", tmp_path, "--output", output,
               "--stocha", stocha, "--thresholds", "tiny-relu=0.8", "--calibrate", text]
    run_ok(*command, "--tasks", "original", timeout=120)
    models = json.loads(output.read_text())["models"]
    assert "piqa" in models["original"]["evaluation"] and "piqa" not in models["tiny-relu"]["evaluation"]
    table = run_ok(*command, timeout=120)  # only what is missing
    models = json.loads(output.read_text())["models"]
    assert all("piqa" in model["evaluation"] for model in models.values())
    names = ["original", "relu-untrained", "tiny-silu", "tiny-relu", "tiny-relu at 0.8"]
    assert sorted(models) == sorted(names) and len(table.splitlines()) == 2 + len(names)
    silent = {name: statistics.fmean(found["evaluation"]["sparsity_by_layer"])
              for name, found in models.items()}
    assert silent["tiny-silu"] == 0 < silent["tiny-relu"] < silent["tiny-relu at 0.8"]
    assert silent["tiny-relu at 0.8"] == pytest.approx(0.8, abs=0.05)
    first = json.loads((runs / "results.json").read_text())["arms"][0]["validations"][0]
    assert first["tokens"] == 0 and models["original"]["val_loss"] == first["loss"]
    row = next(line for line in table.splitlines() if line.startswith("| tiny-relu |"))
    kept = math.exp(models["tiny-relu"]["val_loss"] - models["tiny-silu"]["val_loss"])
    assert f"| {kept:.3f} |" in row

    shutil.rmtree(runs / "eval")  # what is known is not evaluated again
    again = run(*command)
    assert again.stdout == table and again.stderr == ""
    refused = run(*command, "--thresholds", "other=0.5")
    assert refused.returncode == 1 and "no finished run other" in refused.stderr
    refused = run(*command, "--tasks", "original,other")
    assert refused.returncode == 1 and "--tasks: no model other" in refused.stderr
