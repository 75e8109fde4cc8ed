"""How the loss of a run compares with that of another on the same batches, over the tokens trained.

    .venv/bin/python tools/loss_kept.py runs/silu/metrics.jsonl runs/relu/metrics.jsonl --output kept.svg

Both must have read the same batches: same text, seed, batch size and sequence length; a batch is new to both
when it is measured, before its own update. Prints, and draws, exp of the mean difference of the losses of
--window steps: how many times the reference's perplexity the other one has.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys

import matplotlib

from support import fail

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
import matplotlib.pyplot as plt  # noqa: E402


def steps(path):
    """(tokens so far, loss) of each step."""
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        found = [(line["tokens"], line["loss"]) for line in lines if line["type"] == "step"]
    except FileNotFoundError:
        fail(f"no {path}")
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        fail(f"{path}: not a run's metrics.jsonl: {error}")
    if not found or any(loss is None for _, loss in found):
        fail(f"{path}: got no steps, or steps without a loss; expected those of cross-entropy")
    return found


def kept(reference, run, window):
    """(tokens at the middle, ratio of perplexities, its standard error) of every `window` steps."""
    if len(reference) < len(run) or any(a[0] != b[0] for a, b in zip(reference, run)):
        fail("the reference has other steps: expected the same batches, and as many")
    points = []
    for first in range(0, len(run) - window + 1, window):
        differences = [run[i][1] - reference[i][1] for i in range(first, first + window)]
        ratio = math.exp(statistics.fmean(differences))
        error = ratio * statistics.stdev(differences) / math.sqrt(window)
        points.append((run[first + window // 2][0], ratio, error))
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=pathlib.Path)
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True, help="an SVG")
    parser.add_argument("--window", type=int, default=6, help="steps of a point")
    options = parser.parse_args()
    if options.window < 2:
        fail(f"--window: got {options.window}, expected 2 or more")
    run = steps(options.run)
    if options.window > len(run):
        fail(f"--window: got {options.window}, expected at most the {len(run)} steps of {options.run}")
    points = kept(steps(options.reference), run, options.window)
    figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    axis.errorbar([point[0] / 1000 for point in points], [point[1] for point in points],
                  yerr=[point[2] for point in points], color="#0072B2", marker="o", capsize=2)
    axis.axhline(1, color="#999999", linewidth=0.8)
    axis.set_xlabel("thousand tokens trained")
    axis.set_ylabel("perplexity against the reference's")
    axis.grid(alpha=0.3)
    figure.savefig(options.output, metadata={"Date": None})
    print("| tokens | perplexity against the reference's |\n|---|---|")
    for tokens, ratio, error in points:
        print(f"| {tokens:,} | {ratio:.3f} ± {error:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
