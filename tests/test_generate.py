"""stocha generate against transformers, and what a sample depends on: its seed alone."""

import json
import signal
import subprocess

import pytest
import torch

from harness import run, run_ok
from random_models import SMALL, TEXT, save_talking_model


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking"))


def generate_json(stocha, saved, *args, prompt=TEXT):
    flags = ["--prompt", prompt, "--json", "--ignore-eos"]
    return json.loads(run_ok(stocha, "generate", saved.folder, *flags, *args))


@pytest.mark.parametrize("penalty", [1.0, 1.4])
def test_greedy_generation_equals_transformers(stocha, talking, penalty):
    prompt = torch.tensor([talking.tokenizer.encode(TEXT).ids])
    with torch.no_grad():
        expected = talking.model.generate(
            prompt,
            attention_mask=torch.ones_like(prompt),
            max_new_tokens=60,
            do_sample=False,
            repetition_penalty=penalty,
            eos_token_id=None,
            pad_token_id=0,
        )[0, prompt.shape[1] :].tolist()
    arguments = ["--max-tokens", 60, "--repetition-penalty", penalty]
    for ffn in ("exact", "dense"):
        shown = generate_json(stocha, talking, "--ffn", ffn, *arguments)
        assert shown["samples"][0]["ids"] == expected
        assert shown["samples"][0]["text"] == talking.tokenizer.decode(expected)
        assert shown["prompt_tokens"] == prompt.shape[1]


def test_text_streams_to_standard_output(stocha, talking):
    arguments = ["--max-tokens", 30, "--ignore-eos"]
    expected = generate_json(stocha, talking, "--max-tokens", 30)["samples"][0]["text"]
    result = run(stocha, "generate", talking.folder, "--prompt", "-", *arguments, input=TEXT)
    assert (result.returncode, result.stdout, result.stderr) == (0, expected + "\n", "")
    result = run(stocha, "generate", talking.folder, "--prompt", TEXT, "--stats", *arguments)
    assert result.stdout == expected + "\n"
    assert "tok/s" in result.stderr and "silent" in result.stderr


TEMPERATURE = ["--max-tokens", 25, "--temperature", 1.5]
SAMPLING = [*TEMPERATURE, "--top-k", 50, "--top-p", 0.95, "--min-p", 0.01]


def test_samples_come_from_their_seeds_alone(stocha, talking):
    stochastic = [*SAMPLING, "--activation", "stocha:0.4", "--activation-prompt"]
    batch = generate_json(stocha, talking, *stochastic, "--seed", 5, "--num-samples", 3)["samples"]
    assert [sample["seed"] for sample in batch] == [5, 6, 7]
    assert len({sample["text"] for sample in batch}) == 3
    for threads, ffn, sample in zip((1, 2, 3), ("dense", "exact", "auto"), batch):
        arguments = [*stochastic, "--seed", sample["seed"], "--threads", threads, "--ffn", ffn]
        assert generate_json(stocha, talking, *arguments)["samples"] == [sample]


def test_activation_applies_to_generated_tokens_and_on_request_to_the_prompt(stocha, talking):
    def ids_of(*args):
        shown = generate_json(stocha, talking, "--max-tokens", 20, *args)
        return [sample["ids"] for sample in shown["samples"]]

    plain = ids_of()[0]
    stochastic = ["--activation", "stocha:0.5", "--num-samples", 4]
    drawn = ids_of(*stochastic)
    assert all(ids[0] == plain[0] and ids != plain for ids in drawn)
    assert ids_of(*stochastic, "--activation-prompt") != drawn


def test_statistics_tell_what_fired(stocha, talking):
    shown = generate_json(stocha, talking, "--max-tokens", 20)
    assert shown["decode"]["tokens"] == 19
    assert len(shown["decode"]["sparsity"]) == SMALL["num_hidden_layers"]
    assert all(0.2 < silent < 0.8 for silent in shown["decode"]["sparsity"])
    silu = generate_json(stocha, talking, "--max-tokens", 20, "--activation", "silu")
    assert silu["decode"]["sparsity"] == [0] * SMALL["num_hidden_layers"]


def test_generation_stops_at_eos_and_at_the_end_of_the_context(stocha, talking, tmp_path):
    ids = generate_json(stocha, talking, "--max-tokens", 12)["samples"][0]["ids"]
    folder = tmp_path / "model"
    folder.mkdir()
    for file in talking.folder.iterdir():
        (folder / file.name).symlink_to(file)
    changed = json.loads((folder / "config.json").read_text()) | {"eos_token_id": ids[7]}
    (folder / "config.json").unlink()
    (folder / "config.json").write_text(json.dumps(changed))
    arguments = ["--prompt", TEXT, "--max-tokens", 12, "--json"]
    sample = json.loads(run_ok(stocha, "generate", folder, *arguments))["samples"][0]
    assert (sample["ids"], sample["stop"]) == (ids[: ids.index(ids[7])], "stop_id")
    shown = generate_json(stocha, talking, "--max-tokens", 1000)
    assert shown["samples"][0]["stop"] == "context_full"
    assert len(shown["samples"][0]["ids"]) == 400 - shown["prompt_tokens"] + 1


def test_interrupting_generation_ends_cleanly(stocha, talking):
    command = [stocha, "generate", talking.folder, "--prompt", "-", "--ignore-eos"]
    long_run = ["--max-tokens", "1000", "--num-samples", "512", "--json", "--threads", "1"]
    with subprocess.Popen(
        [*map(str, command), *long_run],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write(TEXT)
        process.stdin.close()
        while "stocha" not in open(f"/proc/{process.pid}/comm", encoding="utf-8").read():
            pass
        # The handler is there once SIGINT is in the mask of caught signals.
        while not caught_signals(process.pid) & (1 << (signal.SIGINT - 1)):
            pass
        process.send_signal(signal.SIGINT)
        output, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0
    assert "stopping" in errors
    assert json.loads(output)["samples"][0]["stop"] == "cancelled"


def caught_signals(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as status:
        return int(next(line for line in status if line.startswith("SigCgt")).split()[1], 16)
