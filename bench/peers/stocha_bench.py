"""Runs `stocha bench` for one row, and reads its JSON."""

import dataclasses
import hashlib
import json
import os
import pathlib
import subprocess
import sys

from peers import huge_pages
from peers.rows import Row
from peers.shapes import shape_named

REQUIRED = (
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
    "ffn_us_per_token",
    "bytes_per_token",
    "read_bandwidth_gb_s",
    "active_fraction",
    "machine",
)


@dataclasses.dataclass(frozen=True)
class Weights:
    """What stocha runs: random weights of the row's shape, or a packed model on a text."""

    sparsity: float = 0.9  # of the random ones
    model: pathlib.Path | None = None
    text: pathlib.Path | None = None

    def flags(self, row: Row) -> list[str]:
        if self.model:
            return [str(self.model), "--text", str(self.text)]
        return ["--shape", row.shape, "--sparsity", str(self.sparsity), "--type", row.stocha_type]

    def read_in(self, row: Row) -> None:
        """As the rival's is: the model, or those of the row that an earlier `stocha bench` has left."""
        cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        left = pathlib.Path(cache, "stocha-bench").glob(f"{row.shape}_{row.stocha_type}_*.gguf")
        for model in [self.model] if self.model else left:
            huge_pages.read_in(model)

    def identity(self) -> dict:
        """What rounds must have in common to stand in one result."""
        if not self.model:
            return {"sparsity": self.sparsity}
        return {"model": sha256(self.model), "text": sha256(self.text)}

    def check(self, program: pathlib.Path, row: Row) -> None:
        """Exits when the rival, whose weights are of the row's shape and type, runs something else."""
        if not self.model:
            return
        found = answer_of([str(program), "inspect", str(self.model), "--json"])
        config, shape = found["config"], shape_named(row.shape).llama_config()
        for key in shape:
            if config.get(key) != shape[key]:
                got = f"{key} {config.get(key)}, expected {shape[key]} as row {row.name} has it"
                sys.exit(f"compare: error: {self.model}: {got}")
        if found["dtype"] != row.stocha_type:
            got = f"{found['dtype']}, expected {row.stocha_type} as row {row.name} has it"
            sys.exit(f"compare: error: {self.model}: {got}: stocha quantize --type {row.stocha_type}")


def answer_of(command: list[str]) -> dict:
    """The JSON that a command of stocha prints; exits with its own last line when it fails."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"compare: error: cannot run {command[0]}: {error.strerror}; run scripts/setup")
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"compare: error: {' '.join(command)} failed with {answer.returncode}: {last}")
    try:
        return json.loads(answer.stdout)
    except json.JSONDecodeError as error:
        sys.exit(f"compare: error: {' '.join(command)}: not JSON: {error}")


def sha256(path: pathlib.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bench_command(program: pathlib.Path, row: Row, weights: Weights) -> list[str]:
    command = [str(program), "bench", *weights.flags(row), "--threads", str(row.threads)]
    command += ["--prompt-tokens", str(row.prompt_tokens), "--gen-tokens", str(row.gen_tokens)]
    command += ["--prefill", row.prefill]
    command += ["--batch", str(row.batch), "--rounds", "1"]  # rounds are taken with the rival in turn
    for mode in row.modes:
        command += ["--ffn", mode]
    return command + ["--json"]


def bench(program: pathlib.Path, row: Row, weights: Weights) -> dict:
    """What `stocha bench` measured; exits with its own last line when it fails."""
    command = bench_command(program, row, weights)
    result = answer_of(command)
    lacking = [name for name in REQUIRED if name not in result]
    lacking += [f"{row.key}.{mode}" for mode in row.modes if not result.get(row.key, {}).get(mode)]
    if lacking:
        sys.exit(f"compare: error: {' '.join(command)}: no {', '.join(lacking)} in its JSON")
    return result


def fingerprint(program: pathlib.Path) -> str:
    """Which build it is: rounds of another build are not mixed with it."""
    if not program.is_file():
        sys.exit(f"compare: error: no {program}: run scripts/setup")
    return sha256(program)[:16]
