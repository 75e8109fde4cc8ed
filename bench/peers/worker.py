"""Rivals that are Python libraries: a process of their own holds the model and measures on request.

Between two rounds the process waits for a line on its standard input, so it takes no core while
another engine is measured.
"""

import json
import os
import pathlib
import subprocess
import sys

from peers import huge_pages
from peers.machine import REPO
from peers.rows import Row
from peers.shapes import shape_named

HERE = pathlib.Path(__file__).resolve().parent
WORKERS = {
    # name: (python, program)
    "transformers": (REPO / ".venv/bin/python", HERE / "transformers_worker.py"),
    "openvino": (REPO / "build/peers/venv/bin/python", HERE / "openvino_worker.py"),
}


class Process:
    """A program that says it is ready in a line of JSON, and then answers a line with a line."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]):
        self.name = name
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        ready = self.answer()
        self.version, self.setting = ready["version"], ready["setting"]

    def answer(self) -> dict:
        """The next line that is JSON: libraries print lines of their own."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"compare: error: the {self.name} process ended; its message is above")

    def ask(self, request: dict) -> dict:
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Worker(Process):
    """One row's rival in a child process."""

    def __init__(self, row: Row, setting: str | None = None):
        del setting  # nothing is tuned here
        python, program = WORKERS[row.rival]
        if not python.exists():
            sys.exit(f"compare: error: no {python}: run scripts/setup and bench/setup-peers")
        self.row = row
        command = [str(python), str(program), shape_named(row.shape).name]
        command += [row.rival_type, str(row.threads)]
        super().__init__(row.rival, command, huge_pages.MALLOC)

    def measure(self) -> float:
        request = {
            "prompt_tokens": self.row.prompt_tokens,
            "gen_tokens": 0 if self.row.measure == "prefill" else self.row.gen_tokens,
        }
        return self.ask(request)["tokens_per_s"]


def serve(version: str, setting: str, answer) -> None:
    """The child's side: says that it is ready, then answers each request with answer(**request)."""
    print(json.dumps({"version": version, "setting": setting}), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(**json.loads(line))), flush=True)


def serve_speed(version: str, setting: str, measure) -> None:
    """For rivals that generate: measure(prompt_tokens, gen_tokens) gives tokens/s."""

    def answer(prompt_tokens: int, gen_tokens: int) -> dict:
        return {"tokens_per_s": measure(prompt_tokens, gen_tokens)}

    serve(version, setting, answer)
