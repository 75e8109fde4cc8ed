"""Measures a row in rounds, rival then stocha, and keeps every round in a log so that a cut run goes on."""

import contextlib
import dataclasses
import json
import pathlib
import subprocess
import sys
import time

from peers import stocha_bench
from peers.llama_cpp import LlamaCpp
from peers.rows import Row
from peers.worker import WORKERS, Worker


@dataclasses.dataclass(frozen=True)
class Options:
    program: pathlib.Path  # the stocha that is measured
    weights: stocha_bench.Weights
    rounds: int
    rival_only: bool


class Log:
    """Rounds as JSON lines. `run` names what must not change between rounds of one result."""

    def __init__(self, path: pathlib.Path, run: dict, resume: bool):
        self.path, self.run = path, run
        path.parent.mkdir(parents=True, exist_ok=True)
        if not resume:
            path.write_text("")

    def rounds_of(self, row: Row) -> list[dict]:
        """The rounds of this run's row that are there. A line cut short by a kill is skipped."""
        found = []
        for line in self.path.read_text().splitlines() if self.path.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                entry = json.loads(line)
                if entry["row"] == row.identity() and entry["run"] == self.run:
                    found.append(entry)
        return found

    def add(self, row: Row, rival: dict, stocha: dict) -> None:
        entry = {"row": row.identity(), "run": self.run, "time": time.time()}
        entry |= {"rival": rival, "stocha": stocha}
        with self.path.open("a") as log:
            log.write("\n" + json.dumps(entry))


@contextlib.contextmanager
def burners(count: int):
    """Processes that take a core each, as another job on the machine would."""
    command = [sys.executable, "-c", "while True: pass"]
    children = [subprocess.Popen(command) for _ in range(count)]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def rival_of(row: Row, setting: str | None):
    return (Worker if row.rival in WORKERS else LlamaCpp)(row, setting)


def measure_row(row: Row, options: Options, log: Log) -> list[dict]:
    """All rounds of a row: those of the log, then new ones, each rival first, then stocha."""
    rounds = log.rounds_of(row)
    if len(rounds) >= options.rounds:
        return rounds[: options.rounds]
    rival = rival_of(row, rounds[-1]["rival"]["setting"] if rounds else None)
    if not options.rival_only:
        options.weights.read_in(row)
    try:
        with burners(row.burners):
            for number in range(len(rounds) + 1, options.rounds + 1):
                speed = rival.measure()
                answer = {"name": rival.name, "version": rival.version, "setting": rival.setting}
                answer["tokens_per_s"] = speed
                stocha = {}
                if not options.rival_only:
                    stocha = stocha_bench.bench(options.program, row, options.weights)
                log.add(row, answer, stocha)
                ours = [f"{mode} {stocha[row.key][mode]:.2f}" for mode in row.modes if stocha]
                progress = [f"{row.name} {number}/{options.rounds}: {rival.name} {speed:.2f}", *ours]
                print(*progress, sep=", ", file=sys.stderr, flush=True)
    finally:
        rival.close()
    return log.rounds_of(row)[: options.rounds]
