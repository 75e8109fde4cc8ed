"""The peer of a row: a transformers model in training, at the fastest of its settings."""

import json
import os
import pathlib
import sys

from peers import huge_pages
from peers.machine import REPO
from peers.worker import Process
from train_peers.rows import Row

HERE = pathlib.Path(__file__).resolve().parent
COMMAND = [str(REPO / ".venv/bin/python"), str(HERE / "torch_worker.py")]
# Threads that sleep while they wait, as stocha's: spinning ones lose where anything else runs.
ENVIRONMENT = huge_pages.MALLOC | {
    "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive"),
    "PYTHONWARNINGS": "ignore",
}


def start(row: Row, setting: str) -> Process:
    asked = {
        "shape": row.shape,
        "batch": row.batch,
        "sequence": row.sequence,
        "threads": row.threads,
        "activation": row.activation,
        "warmup_steps": row.warmup_steps,
        "setting": setting,
    }
    return Process("transformers", [*COMMAND, json.dumps(asked)], ENVIRONMENT)


def fastest(row: Row) -> Process:
    """Every setting once; the processes of all but the fastest are ended."""
    best, best_speed = None, 0.0
    for setting in row.settings:
        process = start(row, setting)
        speed = process.ask({"steps": row.steps})["tokens_per_s"]
        print(f"{row.name}: {setting}: {speed:,.0f} tok/s", file=sys.stderr, flush=True)
        if speed <= best_speed:
            process.close()
            continue
        if best:
            best.close()
        best, best_speed = process, speed
    return best


def peer_of(row: Row, setting: str | None) -> Process:
    """At `setting`, which earlier rounds had, or at the fastest one."""
    return start(row, setting) if setting else fastest(row)
