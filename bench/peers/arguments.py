"""What the comparisons share of their command lines and of writing results."""

import argparse
import datetime
import json
import os
import pathlib
import shlex

from peers.machine import commit


def rows_named(text: str, rows: dict) -> list:
    """Rows by name or by the start of it: "batch" is every batch row."""
    named = []
    for name in text.split(","):
        found = [rows[name]] if name in rows else [r for n, r in rows.items() if n.startswith(name)]
        if not found or not name:
            raise argparse.ArgumentTypeError(f"no row {name!r}; --list shows them")
        named += [row for row in found if row not in named]
    return named


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def write_whole(path: pathlib.Path, text: str) -> None:
    """Under a temporary name first: a kill leaves the old file or the new one."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def write_report(options: argparse.Namespace, report: dict, text: str) -> None:
    """To the files that were asked for, and the text to standard output."""
    if options.json:
        write_whole(options.json, json.dumps(report, indent=2) + "\n")
    if options.output:
        write_whole(options.output, text)
    print(text, end="")


def made(program: str, arguments: list[str], here: dict) -> dict:
    """Where, when and how: what every report begins with."""
    return {
        "machine": here,
        "commit": commit(),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "command": shlex.join([program, *arguments]),
    }


def warning_when_busy(load_average: float) -> str:
    """A line for stderr; empty on a machine that does nothing else."""
    if load_average <= 0.5:
        return ""
    return f"warning: the load average is {load_average:.1f}: what else runs spoils figures\n"
