"""llama.cpp as a rival: its own llama-bench and llama-batched-bench, at their best setting.

bench/setup-peers builds both with clang-19 from the sources in llama-cpp-python's package, and its
CPU backend twice: with its own threads and with OpenMP.
"""

import ctypes
import dataclasses
import itertools
import json
import os
import subprocess
import sys

from peers import gguf_model, huge_pages
from peers.machine import REPO
from peers.rows import Row
from peers.shapes import shape_named

PEERS = REPO / "build" / "peers"
BIN = PEERS / "llama.cpp" / "bin"
OPENMP_BIN = PEERS / "llama.cpp-openmp" / "bin"
MODELS = PEERS / "models"
VERSION = "llama-cpp-python 0.3.36"
TUNING_TOKENS = {"decode": 16, "prefill": 128}
TUNING_REPETITIONS = 3


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is tried, and the best of it kept: none of these changes the result."""

    flash_attention: bool
    repack: bool
    openmp: bool

    def __str__(self) -> str:
        on = {True: "on", False: "off"}
        return (
            f"flash attention {on[self.flash_attention]}, repack {on[self.repack]}, "
            f"{'OpenMP' if self.openmp else 'own threads'}"
        )


SETTINGS = [Setting(*choice) for choice in itertools.product((True, False), repeat=3)]


def run_tool(name: str, arguments: list, openmp: bool) -> str:
    """Standard output of a llama.cpp tool; exits with its last line when it fails."""
    program = BIN / name
    if not program.is_file():
        sys.exit(f"compare: error: no {program}: run bench/setup-peers")
    environment = os.environ | huge_pages.MALLOC
    if openmp:
        environment["LD_LIBRARY_PATH"] = str(OPENMP_BIN)
    command = [str(program), *map(str, arguments)]
    answer = subprocess.run(command, capture_output=True, text=True, env=environment)
    if answer.returncode:
        last = (answer.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"compare: error: {name} failed with {answer.returncode}: {last}")
    return answer.stdout


def system_info() -> str:
    """llama.cpp's own line about the instruction sets it was built with."""
    library = BIN / "libllama.so"
    if not library.is_file():
        sys.exit(f"compare: error: no {library}: run bench/setup-peers")
    llama = ctypes.CDLL(str(library))
    llama.llama_print_system_info.restype = ctypes.c_char_p
    return llama.llama_print_system_info().decode().strip(" |")


def bench_single(model, row: Row, setting: Setting, tokens: int, repetitions: int) -> float:
    """Best tokens/s of a prefill of `tokens`, or of a decode of `tokens` behind the row's prompt."""
    arguments = ["-m", model, "-t", row.threads, "-r", repetitions, "-o", "json", "-lm", "mmap"]
    arguments += ["-fa", int(setting.flash_attention), "--repack", int(setting.repack)]
    if row.measure == "prefill":
        arguments += ["-p", tokens, "-n", 0]
    else:
        arguments += ["-p", 0, "-n", tokens, "-d", row.prompt_tokens]
    answer = json.loads(run_tool("llama-bench", arguments, setting.openmp))
    return max(answer[0]["samples_ts"])


def bench_batch(model, row: Row, setting: Setting, tokens: int, repetitions: int) -> float:
    """Best total tokens/s of a decode of row.batch sequences at once."""
    context = row.batch * (row.prompt_tokens + tokens)
    arguments = ["-m", model, "-t", row.threads, "-tb", row.threads, "-c", context]
    batches = ",".join([str(row.batch)] * repetitions)
    arguments += ["-npp", row.prompt_tokens, "-ntg", tokens, "-npl", batches]
    arguments += ["-fa", "on" if setting.flash_attention else "off"]
    arguments += ["--repack" if setting.repack else "--no-repack", "--output-format", "jsonl"]
    output = run_tool("llama-batched-bench", arguments, setting.openmp)
    answers = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    if len(answers) != repetitions:
        sys.exit(f"compare: error: llama-batched-bench {setting}: no figure in {output!r}")
    return max(answer["speed_tg"] for answer in answers)


class LlamaCpp:
    """One row's rival. `setting` fixes what an earlier run found best."""

    name = "llama.cpp"
    version = VERSION
    best_of: dict[tuple, Setting] = {}  # what was tuned, so that rows alike share it

    def __init__(self, row: Row, setting: str | None = None):
        self.row = row
        self.model = gguf_model.model_file(shape_named(row.shape), row.rival_type, MODELS)
        huge_pages.read_in(self.model)
        named = [choice for choice in SETTINGS if str(choice) == setting]
        self.choice = named[0] if named else self.tune()
        self.setting = str(self.choice)

    def tune(self) -> Setting:
        """The fastest setting. The best of a few tries counts: a barrier that spins may collapse."""
        row = self.row
        alike = (row.shape, row.rival_type, row.measure, row.threads, row.batch > 1)
        if alike not in self.best_of:
            tokens = TUNING_TOKENS[row.measure]
            self.best_of[alike] = max(
                SETTINGS, key=lambda setting: self.speed(setting, tokens, TUNING_REPETITIONS)
            )
        return self.best_of[alike]

    def speed(self, setting: Setting, tokens: int, repetitions: int) -> float:
        bench = bench_batch if self.row.batch > 1 else bench_single
        return bench(self.model, self.row, setting, tokens, repetitions)

    def measure(self) -> float:
        """Once, as it comes: collapses are part of what the rounds show."""
        row = self.row
        tokens = row.prompt_tokens if row.measure == "prefill" else row.gen_tokens
        return self.speed(self.choice, tokens, repetitions=1)

    def close(self) -> None:
        pass
