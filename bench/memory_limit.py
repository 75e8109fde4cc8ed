"""Decoding with less memory than the model's file: tokens/s and bytes read from the disk a token.

    .venv/bin/python bench/memory_limit.py --limit-mb 1000 \\
        --stocha hot.gguf,trained.gguf --llama build/peers/models/llama-3.2-1b-q8_0.gguf

Every engine runs in a memory cgroup of its own (v1 or v2; needs root), its file out of the page
cache before. A model decodes a few tokens, then more, in two runs; the figures are differences, so
that starting and the prompt do not count. docs/benchmarks.md tells more.
"""

import argparse
import json
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peers.machine import REPO, commit, machine  # noqa: E402

LLAMA_BENCH = REPO / "build/peers/llama.cpp/bin/llama-bench"
CGROUPS = pathlib.Path("/sys/fs/cgroup")
CHUNK = 8 << 20


class MemoryCgroup:
    """A cgroup whose processes share `limit` bytes, page cache and all."""

    def __init__(self, limit: int):
        version1 = (CGROUPS / "memory/memory.limit_in_bytes").is_file()
        parent = CGROUPS / "memory" if version1 else CGROUPS
        self.folder = parent / f"stocha-memory-limit-{os.getpid()}"
        try:
            if not version1:
                (CGROUPS / "cgroup.subtree_control").write_text("+memory")
            self.folder.mkdir()
            name = "memory.limit_in_bytes" if version1 else "memory.max"
            (self.folder / name).write_text(str(limit))
        except OSError as error:
            self.close()
            sys.exit(f"memory_limit: error: cannot limit memory: {error}; run as root")

    def enter(self) -> None:
        """In the child, before it becomes the engine."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self) -> None:
        if self.folder.is_dir():
            self.folder.rmdir()


def drop_from_cache(path: pathlib.Path) -> None:
    """Fails while another process has the file mapped: its pages stay."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def disk_read_rate(path: pathlib.Path, most: int = 1 << 30) -> float:
    """Bytes/s of reading a file in large pieces past the page cache."""
    buffer = mmap.mmap(-1, CHUNK)
    file = os.open(path, os.O_RDONLY | os.O_DIRECT)
    done, start = 0, time.monotonic()
    while done < most and (count := os.preadv(file, [buffer], done)) == CHUNK:
        done += count
    os.close(file)
    return done / (time.monotonic() - start)


def run_limited(command: list[str], model: pathlib.Path, limit: int) -> tuple[float, int]:
    """Seconds, and bytes read from the disk, of a command."""
    if not os.access(command[0], os.X_OK):
        sys.exit(f"memory_limit: error: no {command[0]}: run scripts/setup, bench/setup-peers")
    drop_from_cache(model)
    cgroup = MemoryCgroup(limit)
    start = time.monotonic()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=cgroup.enter
    )
    try:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # /proc keeps it until it is read
        seconds = time.monotonic() - start
        fields = pathlib.Path(f"/proc/{process.pid}/io").read_text().split()
        error = process.stderr.read().decode().strip()
    finally:
        process.kill()
        process.wait()
        cgroup.close()
    if process.returncode:
        last = (error.splitlines() or ["killed"])[-1]
        sys.exit(f"memory_limit: error: {command[0]} left {process.returncode}: {last}")
    return seconds, int(fields[fields.index("read_bytes:") + 1])


def measure(command_of, model: pathlib.Path, options) -> dict:
    """A token's cost, from runs of `few` and of `many` tokens."""
    few, many = options.tokens
    limit = options.limit_mb * 10**6
    seconds_few, bytes_few = run_limited(command_of(model, few, options), model, limit)
    seconds_many, bytes_many = run_limited(command_of(model, many, options), model, limit)
    seconds = (seconds_many - seconds_few) / (many - few)
    return {
        "model": model.name,
        "file_mb": model.stat().st_size / 1e6,
        "tokens_per_s": 1 / seconds if seconds > 0 else float("nan"),
        "mb_read_per_token": (bytes_many - bytes_few) / (many - few) / 1e6,
    }


def stocha_command(model: pathlib.Path, tokens: int, options) -> list[str]:
    """Drawn at random, so that a model does not say the same over and over."""
    command = [options.binary, "generate", model, "--prompt", options.prompt, "--ffn", "exact"]
    command += ["--max-tokens", tokens, "--temperature", options.temperature, "--seed", 1]
    command += ["--ignore-eos", "--threads", options.threads]
    if options.activation:
        command += ["--activation", options.activation]
    return [str(word) for word in command]


def llama_command(model: pathlib.Path, tokens: int, options) -> list[str]:
    """Weights mapped, not repacked: a second copy would not fit; small batches, small scratch."""
    command = [LLAMA_BENCH, "-m", model, "-t", options.threads, "-p", 0, "-n", tokens, "-r", 1]
    command += ["-lm", "mmap", "--repack", 0, "-fa", 1, "-b", 32, "-ub", 32, "-o", "json"]
    return [str(word) for word in command]


def files(text: str) -> list[pathlib.Path]:
    paths = [pathlib.Path(name).resolve() for name in text.split(",")]
    for path in paths:
        if not path.is_file():
            raise argparse.ArgumentTypeError(f"no file {path}")
    return paths


def counts(text: str) -> tuple[int, int]:
    few, many = (int(number) for number in text.split(","))
    if not 0 < few < many:
        raise argparse.ArgumentTypeError("want FEW,MANY")
    return few, many


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="memory_limit.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--limit-mb", type=int, required=True, help="memory of an engine, in 10^6 bytes")
    add("--stocha", type=files, default=[], help="packed models, with commas")
    add("--llama", type=files, default=[], help="GGUFs for llama.cpp, with commas")
    add("--prompt", default="Once upon a time", help="what stocha's models continue")
    add("--temperature", type=float, default=1, help="of its draws; 20 for random weights (1)")
    add("--activation", help="of stocha's models, if not their own")
    add("--tokens", type=counts, default=(16, 32), help="of the two runs (16,32)")
    add("--rounds", type=int, default=1, help="of all models in turn (1)")
    add("--threads", type=int, default=2)
    add("--binary", type=pathlib.Path, default=REPO / "build/stocha", help="build/stocha")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = parse(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # cleans up
    jobs = [(stocha_command, model) for model in options.stocha]
    jobs += [(llama_command, model) for model in options.llama]
    print(json.dumps({"machine": machine(), "commit": commit(), "limit_mb": options.limit_mb}))
    for _ in range(options.rounds):
        for command_of, model in jobs:
            rate = disk_read_rate(model)
            result = measure(command_of, model, options)
            name = command_of.__name__.removesuffix("_command")
            result = {"engine": name, **result, "disk_mb_per_s": rate / 1e6}
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
