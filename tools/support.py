"""What the programs of this folder share."""

import json
import pathlib
import subprocess
import sys


def fail(message):
    sys.exit(f"{pathlib.Path(sys.argv[0]).stem}: error: {message}")


def books(path):
    """The objects of a .jsonl.zst, one after another. The `zstd` program opens it."""
    with subprocess.Popen(["zstd", "--decompress", "--stdout", path], stdout=subprocess.PIPE) as zstd:
        for line in zstd.stdout:
            yield json.loads(line)
    if zstd.returncode != 0:
        fail(f"{path}: zstd cannot read it")


def stocha(program, *arguments):
    """What a command of stocha prints; its own complaints go to stderr."""
    command = [str(part) for part in (program, *arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        fail(f"{' '.join(command)} ended with status {done.returncode}")
    return done.stdout
