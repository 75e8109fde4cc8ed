"""Prints what scripts/demo-smollm2 measured: perplexity and silent neurons before and after.

    .venv/bin/python tools/demo_smollm2_summary.py runs/demo-smollm2

Reads silu.json, bare.json and relu.json, which `stocha eval --perplexity --json` wrote.
"""

import json
import pathlib
import statistics
import sys

ROWS = {"silu": "as it was, SiLU", "bare": "ReLU put in its place", "relu": "ReLU, fitted, trained"}


def main():
    folder = pathlib.Path(sys.argv[1])
    found = {}
    for name in ROWS:
        path = folder / f"{name}.json"
        if not path.exists():
            sys.exit(f"demo_smollm2_summary: error: no {path}; run scripts/demo-smollm2")
        found[name] = json.loads(path.read_text())["results"][0]
    original = found["silu"]["perplexity"]
    print(f"{'':24}{'perplexity':>12}{'of the original':>18}{'silent':>10}")
    for name, title in ROWS.items():
        perplexity = found[name]["perplexity"]
        silent = statistics.mean(found[name]["sparsity"])
        print(f"{title:24}{perplexity:12.2f}{perplexity / original:17.2f}x{100 * silent:9.1f} %")


if __name__ == "__main__":
    main()
