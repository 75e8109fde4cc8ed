"""Runs `stocha train` on random tokens for one row, and reads its speed and memory while it runs."""

import json
import os
import pathlib
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import numpy as np

from train_peers.rows import Row, shape_of

POLL_SECONDS = 0.02
# The header of a shard: magic, version, bytes a token, tokens, bytes of text, vocabulary.
SHARD_HEADER = struct.Struct("<8sIIQQII24x")


def write_shard(path: pathlib.Path, ids, vocab_size: int) -> None:
    """A token shard (stocha/data/token_shard.h) of 2-byte ids, of no known tokenizer."""
    ids = np.asarray(ids)
    header = SHARD_HEADER.pack(b"STOCHTOK", 1, 2, len(ids), 3 * len(ids), vocab_size, 0)
    path.write_bytes(header + ids.astype("<u2").tobytes())


def recipe_text(row: Row) -> str:
    """StochA throughout, bf16, no checkpoint before the end; the peer's AdamW and clipping."""
    shape = shape_of(row)
    return f"""[model]
vocab_size = {shape.vocab_size}
hidden_size = {shape.hidden_size}
intermediate_size = {shape.intermediate_size}
num_hidden_layers = {shape.num_layers}
num_attention_heads = {shape.num_heads}
num_key_value_heads = {shape.num_kv_heads}
tie_word_embeddings = true
[data]
train = ["random.tokens"]
sequence_length = {row.sequence}
[optimizer]
learning_rate = 1e-4
[training]
steps = 1000000
batch_size = {row.batch}
threads = {row.threads}
compute_type = "bf16"
checkpoint_minutes = 0
[[activation]]
activation = "stocha:0.7"
"""


def program_beside(stocha: pathlib.Path) -> pathlib.Path:
    """stocha-train, which `stocha train` becomes."""
    return stocha.with_name("stocha-train")


# A program's peak is never seen below that of the process that started it: hence a small one.
PEAK_OF = """import os, sys
_, status, usage = os.wait4(os.spawnv(os.P_NOWAIT, sys.argv[1], sys.argv[1:]), 0)
print(usage.ru_maxrss, flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
"""


def memory_at_start(stocha: pathlib.Path) -> int:
    """Bytes that the trainer takes before it has read anything: its libraries."""
    command = [sys.executable, "-S", "-c", PEAK_OF, str(program_beside(stocha)), "--version"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"train_compare: error: {program_beside(stocha)} --version: {answer.stderr.strip()}")
    return int(answer.stdout.split()[-1]) * 1024


def step_speeds(metrics: pathlib.Path) -> list[float]:
    """Tokens/s of every step that the file has whole."""
    text = metrics.read_text() if metrics.exists() else ""
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    return [line["tokens_per_s"] for line in lines if line["type"] == "step"]


def peak_bytes(pid: int) -> int:
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmHWM:\s+(\d+)", status, re.MULTILINE)[1]) * 1024


def measure(stocha: pathlib.Path, row: Row, folder_parent: pathlib.Path | None = None) -> dict:
    """Tokens/s over row.steps steps behind the warm-up, and the peak of memory from the start on.

    The run is ended once it has made them: neither a checkpoint nor the export is part of a step.
    """
    with tempfile.TemporaryDirectory(prefix="stocha-train-", dir=folder_parent) as name:
        folder = pathlib.Path(name)
        wanted = row.warmup_steps + row.steps
        vocab_size = shape_of(row).vocab_size
        tokens = (wanted + 2) * row.tokens_per_step + 1
        ids = np.random.default_rng(0).integers(vocab_size, size=tokens)
        write_shard(folder / "random.tokens", ids, vocab_size)
        (folder / "recipe.toml").write_text(recipe_text(row))
        command = [stocha, "train", folder / "recipe.toml", "--output", folder / "run"]
        command = [str(word) for word in command]
        with open(folder / "log", "w+") as log:
            try:
                child = subprocess.Popen(command, stdout=log, stderr=log)
            except OSError as error:
                message = f"cannot run {stocha}: {error.strerror}; run scripts/setup"
                sys.exit(f"train_compare: error: {message}")
            try:
                while len(speeds := step_speeds(folder / "run/metrics.jsonl")) < wanted:
                    if child.poll() is not None:
                        log.seek(0)
                        last = (log.read().strip().splitlines() or ["no message"])[-1]
                        sys.exit(f"train_compare: error: {' '.join(command)} ended early: {last}")
                    time.sleep(POLL_SECONDS)
                memory = peak_bytes(child.pid)
            finally:
                child.kill()
                child.wait()
    timed = speeds[row.warmup_steps : wanted]
    return {
        "tokens_per_s": statistics.harmonic_mean(timed),  # steps are alike: all tokens by all time
        "memory_bytes": memory - memory_at_start(stocha),
    }


def op_overhead(stocha: pathlib.Path, rounds: int, threads: int) -> dict:
    """`stocha-train bench-activation`: the op against the faster SiLU, in steps that take turns."""
    command = [str(program_beside(stocha)), "bench-activation", "--rounds", str(rounds)]
    command += ["--threads", str(threads), "--json"]
    environment = {"OMP_WAIT_POLICY": "passive"} | os.environ  # as `stocha train` sets it
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"train_compare: error: {' '.join(command)} failed: {last}")
    return json.loads(answer.stdout)
