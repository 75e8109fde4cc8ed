"""Runs `stocha bench` for one row, and reads its JSON."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

from peers import huge_pages
from peers.rows import Row

REQUIRED = (
    "decode_tokens_per_s",
    "prefill_tokens_per_s",
    "ffn_us_per_token",
    "bytes_per_token",
    "read_bandwidth_gb_s",
    "active_fraction",
    "machine",
)


def bench_command(program: pathlib.Path, row: Row, sparsity: float) -> list[str]:
    command = [str(program), "bench", "--shape", row.shape, "--sparsity", str(sparsity)]
    command += ["--type", row.stocha_type, "--threads", str(row.threads)]
    command += ["--prompt-tokens", str(row.prompt_tokens), "--gen-tokens", str(row.gen_tokens)]
    command += ["--prefill", row.prefill]
    command += ["--batch", str(row.batch), "--rounds", "1"]  # rounds are taken with the rival in turn
    for mode in row.modes:
        command += ["--ffn", mode]
    return command + ["--json"]


def read_in(row: Row) -> None:
    """The models of the row that an earlier `stocha bench` has left, as the rival's is."""
    cache = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    models = f"{row.shape}_{row.stocha_type}_*.gguf"
    for model in pathlib.Path(cache, "stocha-bench").glob(models):
        huge_pages.read_in(model)


def bench(program: pathlib.Path, row: Row, sparsity: float) -> dict:
    """What `stocha bench` measured; exits with its own last line when it fails."""
    command = bench_command(program, row, sparsity)
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        sys.exit(f"compare: error: cannot run {program}: {error.strerror}; run scripts/setup")
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"compare: error: {' '.join(command)} failed with {answer.returncode}: {last}")
    try:
        result = json.loads(answer.stdout)
    except json.JSONDecodeError as error:
        sys.exit(f"compare: error: {' '.join(command)}: not JSON: {error}")
    lacking = [name for name in REQUIRED if name not in result]
    lacking += [f"{row.key}.{mode}" for mode in row.modes if not result.get(row.key, {}).get(mode)]
    if lacking:
        sys.exit(f"compare: error: {' '.join(command)}: no {', '.join(lacking)} in its JSON")
    return result


def fingerprint(program: pathlib.Path) -> str:
    """Which build it is: rounds of another build are not mixed with it."""
    if not program.is_file():
        sys.exit(f"compare: error: no {program}: run scripts/setup")
    return hashlib.sha256(program.read_bytes()).hexdigest()[:16]
