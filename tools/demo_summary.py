"""Prints what scripts/demo measured, and writes it as NAME=VALUE lines for the report.

    .venv/bin/python tools/demo_summary.py runs/demo

Reads run/metrics.jsonl and speed-{dense,exact}-N.json, which `stocha generate --json` wrote, in
turn dense, exact, dense, exact ...; writes facts.txt.
"""

import json
import pathlib
import statistics
import sys


def read_speeds(folder, ffn):
    """Decode tokens/s of each round, and the sparsity by layer of the last."""
    runs = [json.loads(path.read_text()) for path in sorted(folder.glob(f"speed-{ffn}-*.json"))]
    if not runs:
        sys.exit(f"demo_summary: error: {folder}: no speed-{ffn}-*.json; run scripts/demo")
    return runs, [run["decode"]["tokens_per_s"] for run in runs]


def with_spread(values, unit=""):
    return f"{statistics.median(values):.4g}{unit} ({min(values):.4g} to {max(values):.4g})"


def validation_facts(metrics):
    """(name, value) of the validation losses around the switch of activation and at the end."""
    validations = [m for m in metrics if m["type"] == "validation"]
    steps = [m for m in metrics if m["type"] == "step"]
    switches = [
        after["step"]
        for before, after in zip(steps, steps[1:])
        if before["activation"] != after["activation"]
    ]
    facts = []
    for step in switches:
        for row in validations:
            if row["step"] == step:
                name = f"validation loss at the switch (step {step}), {row['activation']}"
                facts.append((name, f"{row['loss']:.4f}"))
    last = validations[-1]
    facts.append((f"validation loss at the end, {last['activation']}", f"{last['loss']:.4f}"))
    facts.append(
        ("silent neurons by layer, validation", " ".join(f"{100 * s:.1f} %" for s in last["sparsity"]))
    )
    return facts


def speed_facts(folder):
    dense_runs, dense = read_speeds(folder, "dense")
    sparse_runs, sparse = read_speeds(folder, "exact")
    for a, b in zip(dense_runs, sparse_runs):
        if [s["ids"] for s in a["samples"]] != [s["ids"] for s in b["samples"]]:
            sys.exit("demo_summary: error: dense and sparse gave different tokens")
    ratios = [b / a for a, b in zip(dense, sparse)]
    return [
        ("decode, dense", with_spread(dense, " tok/s")),
        ("decode, sparse", with_spread(sparse, " tok/s")),
        ("sparse / dense, same tokens", with_spread(ratios)),
    ]


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: demo_summary.py FOLDER")
    folder = pathlib.Path(sys.argv[1])
    lines = (folder / "run" / "metrics.jsonl").read_text().splitlines()
    facts = validation_facts([json.loads(line) for line in lines]) + speed_facts(folder)
    for name, value in facts:
        print(f"{name}: {value}")
    (folder / "facts.txt").write_text("".join(f"{name}={value}\n" for name, value in facts))


if __name__ == "__main__":
    main()
