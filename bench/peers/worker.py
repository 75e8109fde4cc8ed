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


class Worker:
    """One row's rival in a child process."""

    def __init__(self, row: Row, setting: str | None = None):
        del setting  # nothing is tuned here
        python, program = WORKERS[row.rival]
        if not python.exists():
            sys.exit(f"compare: error: no {python}: run scripts/setup and bench/setup-peers")
        self.row = row
        self.name = row.rival
        command = [str(python), str(program), shape_named(row.shape).name]
        command += [row.rival_type, str(row.threads)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | huge_pages.MALLOC,
        )
        ready = self.answer()
        self.version, self.setting = ready["version"], ready["setting"]

    def answer(self) -> dict:
        """The next line that is JSON: libraries print lines of their own."""
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"compare: error: the {self.row.rival} process ended; its message is above")

    def measure(self) -> float:
        request = {
            "prompt_tokens": self.row.prompt_tokens,
            "gen_tokens": 0 if self.row.measure == "prefill" else self.row.gen_tokens,
        }
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()["tokens_per_s"]

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(version: str, setting: str, measure) -> None:
    """The child's side: says that it is ready, then answers measure(prompt_tokens, gen_tokens)."""
    print(json.dumps({"version": version, "setting": setting}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        speed = measure(request["prompt_tokens"], request["gen_tokens"])
        print(json.dumps({"tokens_per_s": speed}), flush=True)
