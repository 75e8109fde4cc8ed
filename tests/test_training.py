"""stocha-train as a whole, against transformers and torch, and against kills and signals."""

import json
import pathlib
import signal
import subprocess
import time

import numpy as np
import pytest
import tokenizers
import torch
import transformers

from harness import assert_one_line_error, run, run_ok
from training_reference import (BatchOrder, StochasticSilu, noisy_cycle, train, validation_loss,
                                write_shard)

VOCAB, SEQUENCE, BATCH, SEED = 97, 32, 4, 7
TRAIN_IDS = noisy_cycle(20000, VOCAB, seed=1)
VALIDATION_IDS = noisy_cycle(1500, VOCAB, seed=2)


@pytest.fixture(scope="session")
def trainer(build_dir) -> pathlib.Path:
    program = build_dir / "stocha-train"
    assert program.is_file(), f"no {program}: build it first (scripts/setup)"
    return program


@pytest.fixture(autouse=True)
def quiet_threads(monkeypatch):
    monkeypatch.setenv("OMP_WAIT_POLICY", "passive")  # as `stocha train` sets it for the trainer
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def save_model(folder, kind="llama", **changes):
    """A random model of transformers: 2 layers, hidden size 64, 4 heads that share 2."""
    kinds = {
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
        "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
    }
    config_class, model_class = kinds[kind]
    settings = dict(vocab_size=VOCAB, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
                    num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
                    hidden_act="silu", tie_word_embeddings=False, initializer_range=0.05)
    torch.manual_seed(3)
    model = model_class(config_class(**{**settings, **changes}))
    for name, weight in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(weight, std=0.5)  # transformers starts them at 0: nothing to test
    model.float().save_pretrained(folder)
    return model


@pytest.fixture
def recipe(tmp_path):
    """recipe(**changes) writes a recipe for the model in tmp_path/init and gives its path."""
    write_shard(tmp_path / "train.tokens", TRAIN_IDS, VOCAB)
    write_shard(tmp_path / "validation.tokens", VALIDATION_IDS, VOCAB)

    def write(activation=(("silu", 1),), **training):
        settings = {"steps": 20, "batch_size": BATCH, "compute_type": "f32", "threads": 1,
                    "checkpoint_minutes": 0, **training}
        lines = [f"seed = {SEED}", "[model]", 'init_from = "init"', "[data]",
                 'train = ["train.tokens"]', 'validation = ["validation.tokens"]',
                 f"sequence_length = {SEQUENCE}",
                 "[optimizer]", "learning_rate = 1e-3",
                 f"warmup_steps = {min(5, settings['steps'] - 1)}", "[training]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
        for name, until in activation:
            lines += ["[[activation]]", f'activation = "{name}"', f"until = {until}"]
        path = tmp_path / "recipe.toml"
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def metrics(run_folder):
    lines = [json.loads(line) for line in (run_folder / "metrics.jsonl").read_text().splitlines()]
    return ([line for line in lines if line["type"] == "step"],
            [line for line in lines if line["type"] == "validation"])


def losses(run_folder):
    return [step["loss"] for step in metrics(run_folder)[0]]


@pytest.mark.parametrize("activation", ["silu", "relu", "stocha:0.7"])
def test_200_losses_equal_those_of_torch(trainer, recipe, tmp_path, activation):
    stochastic = activation.startswith("stocha")
    model = save_model(tmp_path / "init", hidden_act="silu" if stochastic else activation)
    if stochastic:
        for i, layer in enumerate(model.model.layers):
            layer.mlp.act_fn = StochasticSilu(0.7, SEED, i)
    expected = train(model, BatchOrder(TRAIN_IDS, SEQUENCE, SEED), steps=200, batch_size=BATCH,
                     peak=1e-3, warmup=5)
    run_ok(trainer, recipe([(activation, 1)], steps=200), "--output", tmp_path / "run")
    got = losses(tmp_path / "run")
    assert expected[-1] < expected[0] - 1  # it learns, so later losses test the updates
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("activation", ["relu", "silu"])
@pytest.mark.parametrize("model", [
    dict(kind="llama"),
    dict(kind="llama", num_key_value_heads=1, head_dim=10, tie_word_embeddings=True,
         intermediate_size=77),
    dict(kind="llama", num_key_value_heads=4, rope_parameters={
        "rope_type": "llama3", "rope_theta": 5e5, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 32}),
    dict(kind="llama", rope_parameters={"rope_type": "linear", "rope_theta": 1e4, "factor": 4.0}),
    dict(kind="qwen2", tie_word_embeddings=True),
    dict(kind="qwen3", head_dim=24),
], ids=["llama", "tied-mqa-odd", "llama3-rope", "linear-rope", "qwen2", "qwen3"])
def test_transformers_computes_the_exported_models_loss(trainer, recipe, tmp_path, model,
                                                        activation):
    save_model(tmp_path / "init", initializer_range=0.2, **model)
    run_ok(trainer, recipe([(activation, 1)], steps=3), "--output", tmp_path / "run")
    exported = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "run/final")
    assert exported.config.hidden_act == activation
    expected = validation_loss(exported, BatchOrder(VALIDATION_IDS, SEQUENCE, SEED))
    assert metrics(tmp_path / "run")[1][-1]["loss"] == pytest.approx(expected, abs=1e-5)


def test_a_checkpoint_is_a_model_folder(trainer, recipe, tmp_path):
    save_model(tmp_path / "init")
    path = recipe([("silu", 1)], steps=4, checkpoint_every=2, validate_every=2)
    run_ok(trainer, path, "--output", tmp_path / "run")
    half = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "run/checkpoints/step-00000002")
    expected = validation_loss(half, BatchOrder(VALIDATION_IDS, SEQUENCE, SEED))
    got = [line["loss"] for line in metrics(tmp_path / "run")[1] if line["step"] == 2]
    assert got == [pytest.approx(expected, abs=1e-5)]


def test_the_switch_of_activation(trainer, recipe, tmp_path):
    save_model(tmp_path / "init")
    summary = json.loads(run_ok(trainer, recipe([("stocha:0.7", 0.8), ("relu", 1)]), "--json",
                                "--output", tmp_path / "run"))
    steps, _ = metrics(tmp_path / "run")
    assert [step["activation"] != "relu" for step in steps] == [True] * 16 + [False] * 4
    assert summary["switch_step"] == 16
    before, after = summary["validation_at_switch"]
    assert before["activation"].startswith("stocha:0.7") and after["activation"] == "relu"
    assert [loss["activation"] for loss in summary["validation_at_end"]] == ["relu"]
    # p = 0.7 leaves 0.3 of the negative half silent, ReLU all of it.
    assert 0.05 < np.mean(steps[15]["sparsity"]) < 0.3 < np.mean(steps[16]["sparsity"]) < 0.7
    assert summary["sparsity_per_layer"] == pytest.approx(steps[-1]["sparsity"], abs=0.1)


def start(trainer, *args):
    return subprocess.Popen([str(trainer), *map(str, args)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline, f"no {path}"
        time.sleep(0.005)


def test_a_killed_run_resumes_with_the_same_losses(trainer, recipe, tmp_path):
    save_model(tmp_path / "init")
    path = recipe([("stocha:0.5", 0.9), ("relu", 1)], steps=60, compute_type="bf16", threads=2,
                  checkpoint_every=10, validate_every=20, micro_batch_size=2)
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_ok(trainer, path, "--output", whole)
    process = start(trainer, path, "--output", killed)
    wait_for(killed / "checkpoints/step-00000010", process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL and not (killed / "final").exists()
    run_ok(trainer, path, "--output", killed, "--resume")
    for expected, got in zip(metrics(whole), metrics(killed), strict=True):
        assert len(expected) == len(got)
        for a, b in zip(expected, got):
            a.pop("tokens_per_s", None), b.pop("tokens_per_s", None)
            assert a == b
    weights = "final/model.safetensors"
    assert (whole / weights).read_bytes() == (killed / weights).read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_leaves(trainer, recipe, tmp_path, number):
    save_model(tmp_path / "init")
    path, folder = recipe(steps=100000), tmp_path / "run"
    process = start(trainer, path, "--output", folder)
    wait_for(folder / "metrics.jsonl", process)
    time.sleep(0.3)
    process.send_signal(number)
    process.send_signal(number)  # as timeout(1) does: to the process and to its group
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    last = stderr.splitlines()[-1]
    assert "stopped after" in last and f"{folder}/recipe.toml --output {folder} --resume" in last
    done = len(losses(folder))
    assert (folder / f"checkpoints/step-{done:08d}").is_dir()
    assert not (folder / "final").exists()


def byte_tokenizer(path, end_of_text):
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator([], tokenizers.trainers.BpeTrainer(
        special_tokens=[end_of_text],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.save(str(path))


def test_from_text_to_a_model_that_knows_its_tokenizer(stocha, trainer, tmp_path):
    byte_tokenizer(tmp_path / "tokenizer.json", "<|endoftext|>")
    (tmp_path / "text.txt").write_text("In the beginning God created the heaven and the earth. " * 40)
    run_ok(stocha, "tokenize", tmp_path / "text.txt", "--tokenizer", tmp_path / "tokenizer.json",
           "--output", tmp_path / "train.tokens")
    path = tmp_path / "recipe.toml"
    path.write_text("""
        [model]
        tokenizer = "tokenizer.json"
        hidden_size = 16
        intermediate_size = 24
        num_hidden_layers = 1
        num_attention_heads = 2
        [data]
        train = ["train.tokens"]
        sequence_length = 16
        [training]
        steps = 2
        batch_size = 2
        threads = 1
        [[activation]]
        activation = "relu"
        """)
    run_ok(stocha, "train", path, "--output", tmp_path / "run")
    final = tmp_path / "run/final"
    assert transformers.GenerationConfig.from_pretrained(final).eos_token_id == 0
    assert transformers.AutoConfig.from_pretrained(final).vocab_size == 257
    assert (final / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()

    byte_tokenizer(tmp_path / "tokenizer.json", "<|another|>")
    assert_one_line_error(run(trainer, path, "--output", tmp_path / "other"), "another tokenizer")


def test_a_second_signal_kills_at_once(trainer, recipe, tmp_path):
    save_model(tmp_path / "init")
    # A step of a minute: the first signal alone would wait for its end.
    path, folder = recipe(steps=100000, batch_size=16384, micro_batch_size=4), tmp_path / "run"
    process = start(trainer, path, "--output", folder)
    wait_for(folder / "metrics.jsonl", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT


def test_bad_input_is_one_line(trainer, recipe, tmp_path):
    save_model(tmp_path / "init")
    path, out = recipe(), ("--output", tmp_path / "run")
    assert_one_line_error(run(trainer, path, *out, "--set", "training.stepz=3"), "training.stepz")
    assert_one_line_error(run(trainer, path, *out, "--set", "data.train=gone"), "gone")
    assert_one_line_error(run(trainer, tmp_path / "no.toml", *out), "no.toml")
    (tmp_path / "init/model.safetensors").write_bytes(b"\xff" * 100)
    assert_one_line_error(run(trainer, path, *out), "model.safetensors")
    assert not (tmp_path / "run").exists()


def test_a_model_with_thresholds_is_refused(trainer, recipe, tmp_path):
    save_model(tmp_path / "init", hidden_act="relu")
    file = tmp_path / "init/config.json"
    stocha = {"architectures": ["StochaForCausalLM"], "model_type": "stocha",
              "base_model_type": "llama", "activation": "relu", "stocha_thresholds": [0.5, 0]}
    file.write_text(json.dumps(json.loads(file.read_text()) | stocha))
    path, out = recipe([("relu", 1)]), ("--output", tmp_path / "run")
    assert_one_line_error(run(trainer, path, *out), "init", "thresholds")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"stocha_thresholds": None}))
    run_ok(trainer, path, *out)


def test_bad_usage(trainer, recipe, tmp_path):
    path = recipe()
    for args in [(), (path, "--threads", "0"), (path, "--threads", "x"), (path, "--wrong"),
                 (path, "second.toml"), (path, "--set")]:
        assert_one_line_error(run(trainer, *args), code=2)


def test_stocha_train_hands_over(stocha, trainer):
    help_text = run_ok(stocha, "train", "--help")
    assert help_text == run_ok(trainer, "--help")
    assert "recipes/demo.toml" in help_text
