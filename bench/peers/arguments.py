"""What the comparisons share of their command lines and of writing results."""

import argparse
import os
import pathlib


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


def warning_when_busy(load_average: float) -> str:
    """A line for stderr; empty on a machine that does nothing else."""
    if load_average <= 0.5:
        return ""
    return f"warning: the load average is {load_average:.1f}: what else runs spoils figures\n"
