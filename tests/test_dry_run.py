"""`stocha train --dry-run`: its figures against arithmetic of our own, transformers, and a real run."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import transformers

from harness import assert_one_line_error, run, run_ok
from training_reference import write_shard

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "bench"))
from peers.shapes import shape_named  # noqa: E402
from train_peers.rows import flops_per_token  # noqa: E402
from train_peers.stocha_train import PEAK_OF  # noqa: E402

VOCAB = 512


@pytest.fixture
def recipe(tmp_path):
    """recipe(key="value as TOML" ...) writes a recipe of a model of 1.4 M weights; gives its path."""
    write_shard(tmp_path / "train.tokens", np.arange(20000) % VOCAB, VOCAB)

    def write(**model):
        settings = {"vocab_size": VOCAB, "hidden_size": 128, "intermediate_size": 384,
                    "num_hidden_layers": 6, "num_attention_heads": 4, "num_key_value_heads": 2,
                    "tie_word_embeddings": "true", **model}
        lines = ["[model]", *(f"{key} = {value}" for key, value in settings.items())]
        lines += ["[data]", 'train = ["train.tokens"]', "sequence_length = 128", "[training]",
                  "steps = 12", "batch_size = 16", "threads = 1", "checkpoint_minutes = 0",
                  "[[activation]]", 'activation = "stocha:0.7"']
        (tmp_path / "recipe.toml").write_text("\n".join(lines) + "\n")
        return tmp_path / "recipe.toml"

    return write


def dry_run(stocha, path, *arguments):
    return json.loads(run_ok(stocha, "train", path, "--dry-run", "--json", *arguments))


@pytest.mark.parametrize("tied", ["true", "false"])
def test_sizes_and_flops_are_those_of_arithmetic(stocha, recipe, tied):
    path = recipe(tie_word_embeddings=tied, num_key_value_heads=1)
    got = dry_run(stocha, path, "--probe-steps", 0)
    shape = shape_named(f"128,384,6,4,1,{VOCAB}")
    config = shape.llama_config() | {"tie_word_embeddings": tied == "true"}
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**config))
    parameters = sum(weight.numel() for weight in model.parameters())
    assert got["parameters"] == parameters
    assert got["weight_bytes"] == got["gradient_bytes"] == 4 * parameters
    assert got["optimizer_bytes"] == 8 * parameters
    assert got["flops_per_token"] == flops_per_token(shape, 128)
    assert got["tokens_per_s"] is None and got["activation_bytes"] is None and got["fits"]


def test_memory_and_speed_are_what_the_run_then_shows(stocha, recipe, tmp_path):
    """Loosely for the speed: tests share their cores with others."""
    path = recipe()
    got = dry_run(stocha, path)
    command = [sys.executable, "-S", "-c", PEAK_OF, stocha, "train", path, "--json"]
    answer = subprocess.run([*map(str, command), "--output", str(tmp_path / "run")],
                            capture_output=True, text=True, timeout=120, check=True)
    result, peak_kib = answer.stdout.strip().splitlines()
    assert got["peak_bytes"] == pytest.approx(int(peak_kib) * 1024, rel=0.1)
    speed = json.loads(result)["tokens_per_s"]
    assert speed / 4 < got["tokens_per_s"] < speed * 4
    tokens = 12 * 16 * 128
    assert got["hours"] == pytest.approx(tokens / got["tokens_per_s"] / 3600)
    # What the forward pass keeps holds at least its own bf16 hidden units of every layer.
    assert got["activation_bytes"] > 6 * 16 * 128 * 384 * 2 * 3


def test_a_model_that_does_not_fit_is_not_probed(stocha, recipe):
    path = recipe(num_hidden_layers=4096, intermediate_size=60000)
    result = run(stocha, "train", path, "--dry-run")
    assert result.returncode == 0 and result.stderr == (
        "warning: the run does not fit the memory there is\n")
    assert "no probe: it does not fit" in result.stdout and "more than" not in result.stdout


def test_nothing_is_left_behind(stocha, recipe, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    dry_run(stocha, recipe(), "--probe-steps", 1)
    assert not list((tmp_path / "temporary").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "recipe.toml", "temporary", "train.tokens"]


def test_bad_input_is_one_line(build_dir, recipe, tmp_path):
    trainer, path = build_dir / "stocha-train", recipe()
    assert_one_line_error(run(trainer, path, "--probe-steps", 1), "--dry-run", code=2)
    assert_one_line_error(run(trainer, path, "--dry-run", "--probe-steps", -1), code=2)
    (tmp_path / "train.tokens").write_bytes(b"no shard")
    assert_one_line_error(run(trainer, path, "--dry-run"), "train.tokens")
    (tmp_path / "train.tokens").unlink()
    without = run(trainer, path, "--dry-run", "--probe-steps", 0)
    assert without.returncode == 0 and "train.tokens is not there yet" in without.stderr
    unknown = recipe(vocab_size=0)
    assert_one_line_error(run(trainer, unknown, "--dry-run"), "vocab_size")


def test_every_recipe_of_ours_is_read(stocha, repo):
    # Files with arms hold a grid of runs, which `stocha experiment` reads.
    recipes = sorted(path for path in (repo / "recipes").glob("*.toml")
                     if "[[arm]]" not in path.read_text())
    sizes = {"lm1.5b": 1.5e9, "lm3b": 3e9, "demo": 4.2e6}
    assert {path.stem for path in recipes} >= set(sizes)
    for path in recipes:
        got = dry_run(stocha, path, "--probe-steps", 0, "--set", "model.tokenizer=''", "--set",
                      "data.train=/nowhere", *(["--set", "model.vocab_size=4096"]
                                               if path.stem == "demo" else []))
        assert got["parameters"] == pytest.approx(sizes.get(path.stem, got["parameters"]), rel=0.02)


def test_a_profile_names_every_part_and_adds_up(build_dir, recipe):
    table = run_ok(build_dir / "stocha-train", "profile", recipe(), "--steps", 2)
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    parts = {name: [float(cell) for cell in cells] for name, *cells in rows}
    total = parts.pop(next(name for name in parts if name.startswith("all: ")))
    assert set(parts) >= {"matrix products", "attention", "norms", "rotary", "activation", "loss",
                          "optimizer", "casts", "rest"}
    for column in range(3):
        assert sum(cells[column] for cells in parts.values()) == pytest.approx(total[column], abs=1)
    # Every op with a backward pass of its own is found again there; the loss does its work at once.
    for part in ("matrix products", "attention", "norms", "rotary", "activation"):
        assert parts[part][0] > 0 and parts[part][1] > 0, part
