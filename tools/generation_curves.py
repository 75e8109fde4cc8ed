"""Diversity against quality of what models write, as curves over temperatures and draws.

    .venv/bin/python tools/generation_curves.py --questions FILE.jsonl --output runs/generation \\
      --curve "SiLU" MODEL silu@0.4 silu@0.8 silu@1.2 --curve "StochA" OTHER stocha:0.3@0.6 stocha:0.7@0.6

A point is ACTIVATION@TEMPERATURE; with +prompt behind it an activation that draws does so on the prompt too.
FILE is one of `stocha eval --qa` (docs/evaluation.md). Quality is how many answers are right (exact match at
N = 1); with --judge MODEL, for texts that have no right answer, how likely that model finds them, in nats a byte.
OUTPUT gets results.json, curves.svg, and the samples themselves; a run that is cut goes on. Prints a table.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

import matplotlib

from support import fail, stocha

matplotlib.use("svg")
matplotlib.rcParams["svg.fonttype"] = "none"  # text stays text
import matplotlib.pyplot as plt  # noqa: E402

# Okabe and Ito's colours, and a marker each: to be told apart in print and by the colour-blind.
STYLES = [("#0072B2", "o"), ("#D55E00", "s"), ("#009E73", "^"), ("#CC79A7", "D"), ("#E69F00", "v"),
          ("#56B4E9", "P"), ("#000000", "X")]
POINT = re.compile(r"(?P<activation>[^@]+)@(?P<temperature>[0-9]+([.][0-9]+)?)(?P<prompt>\+prompt)?")


def stocha_eval(options, *arguments):
    return json.loads(stocha(options.stocha, "eval", *arguments, "--json"))["results"][0]


def records(log):
    """The results of a --resume file, by example."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()[1:]]
    return {line["example"]: line["result"] for line in lines}


def judged(options, log, stem):
    """Nats a byte of all samples under --judge, each behind its question."""
    lines = options.questions.read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines if line.strip()]
    asked, empty = [], 0
    for example, result in sorted(records(log).items()):
        choices = [" " + answer for answer in result["answers"] if answer]
        empty += len(result["answers"]) - len(choices)
        if len(choices) >= 2:
            asked.append({"query": questions[example]["context"], "choices": choices, "gold": 0})
    if not asked:
        fail(f"{log}: no question has two samples to judge: raise --max-tokens or --samples")
    file = stem.with_suffix(".samples.jsonl")
    file.write_text("".join(json.dumps(line) + "\n" for line in asked), encoding="utf-8")
    judge_log = stem.with_suffix(".judged.jsonl")
    stocha_eval(options, options.judge, "--choice", file, "--delimiter", "", "--resume", judge_log)
    nats = -sum(sum(result["log_likelihoods"]) for result in records(judge_log).values())
    written = sum(len(choice.encode()) for line in asked for choice in line["choices"])
    return {"judge_nats_per_byte": nats / written, "empty_samples": empty}


def state_of(path):
    """Which files these are: name, size and time of each."""
    path = pathlib.Path(path)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]


def measured(options, name, model, point, stem):
    """As measure(), or what an earlier run found with the same settings on the same files."""
    inputs = {"model": model, "questions": options.questions, "judge": options.judge}
    settings = {key: [str(path), state_of(path)] for key, path in inputs.items() if path}
    settings |= {key: getattr(options, key) for key in ("samples", "shots", "max_tokens", "limit")}
    file = stem.with_suffix(".json")
    if file.exists():
        saved = json.loads(file.read_text())
        if saved["settings"] == settings and saved["result"]["point"] == point:
            return saved["result"] | {"curve": name}
    result = measure(options, name, model, point, stem)
    file.write_text(json.dumps({"settings": settings, "result": result}) + "\n")
    return result


def measure(options, name, model, point, stem):
    parts = POINT.fullmatch(point)
    log = stem.with_suffix(".jsonl")
    counts = [str(2**i) for i in range(options.samples.bit_length()) if 2**i < options.samples]
    found = stocha_eval(options, model, "--qa", options.questions, "--activation", parts["activation"],
                        "--temperature", parts["temperature"], "--samples", ",".join([*counts, str(options.samples)]),
                        "--shots", options.shots, "--max-tokens", options.max_tokens, "--limit", options.limit,
                        "--resume", log, *(["--draw-prompt"] if parts["prompt"] else []))
    layers = found["sparsity"]
    result = {"curve": name, "model": str(model), "point": point, "examples": found["examples"],
              "best_of": found["best_of"], "diversity": found["diversity"],
              "silent": statistics.fmean(layers) if layers else None}
    return result | (judged(options, log, stem) if options.judge else {})


def quality(point):
    if "judge_nats_per_byte" in point:
        return point["judge_nats_per_byte"]
    return 100 * point["best_of"][0]["exact_match"]


def panels(points):
    """(title, value of a point) of what is drawn against quality."""
    distinct = "different word pairs, share", lambda point: point["diversity"]["distinct_2"]
    if "judge_nats_per_byte" in points[0]:
        return [distinct, ("edit distance between samples", lambda point: point["diversity"]["edit_distance"])]
    count = points[0]["best_of"][-1]["n"]
    return [("different answers, share", lambda point: point["diversity"]["unique"]),
            (f"one of {count} is right, %", lambda point: 100 * point["best_of"][-1]["exact_match"])]


def label(point, curve):
    """ "T 0.8", or "p 0.3, T 0.8, prompt too" where the points of its curve differ in more than that."""
    parts = POINT.fullmatch(point["point"])
    kinds = {re.sub("@[0-9.]+", "", other["point"]) for other in curve}
    if len(kinds) == 1:
        return f"T {parts['temperature']}"
    drawn = parts["activation"].partition(":")[2]
    shown = [f"p {drawn}"] * bool(drawn) + [f"T {parts['temperature']}"] + ["prompt too"] * bool(parts["prompt"])
    return ", ".join(shown)


def write_labels(axis, labels):
    """Of labels [(text, x, y)] those that are not, by some pixels, in the way of one before them."""
    taken = []
    for text, x, y in labels:
        at = axis.transData.transform((x, y))
        if all(abs(at[0] - other[0]) > 50 or abs(at[1] - other[1]) > 9 for other in taken):
            taken.append(at)
            axis.annotate(text, (x, y), textcoords="offset points", xytext=(7, -9), fontsize=7)


def draw(points, file):
    shown = panels(points)
    figure, axes = plt.subplots(1, len(shown), figsize=(10, 4.2), layout="constrained")
    for axis, (title, value) in zip(axes, shown):
        labels = []
        for i, name in enumerate(dict.fromkeys(point["curve"] for point in points)):
            mine = [point for point in points if point["curve"] == name]
            color, marker = STYLES[i % len(STYLES)]
            axis.plot([quality(point) for point in mine], [value(point) for point in mine], label=name,
                      color=color, marker=marker, linestyle=["-", "--", ":", "-."][i % 4])
            labels += [(label(point, mine), quality(point), value(point)) for point in mine]
        judged_axis = "judge_nats_per_byte" in points[0]
        axis.set_xlabel("judge's nats a byte (left: likelier)" if judged_axis else "right answers at N = 1, %")
        axis.set_ylabel(title)
        axis.grid(alpha=0.3)
        axis.margins(0.14, 0.1)  # room for labels
        figure.draw_without_rendering()  # settles where a point is
        write_labels(axis, labels)
    axes[0].legend(fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def print_table(points):
    shown = panels(points)
    columns = ["", "point", "quality", *(title for title, _ in shown), "self-BLEU", "silent, %"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for point in points:
        cells = [point["curve"], point["point"], f"{quality(point):.3f}",
                 *(f"{value(point):.3f}" for _, value in shown), f"{point['diversity']['self_bleu']:.3f}",
                 "" if point["silent"] is None else f"{100 * point['silent']:.1f}"]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--curve", action="append", nargs="+", required=True, metavar="NAME MODEL POINT")
    parser.add_argument("--questions", type=pathlib.Path, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--judge", type=pathlib.Path)
    parser.add_argument("--samples", type=int, default=8)
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--limit", type=int, default=0, help="questions; 0: all")
    parser.add_argument("--stocha", default="build/stocha")
    options = parser.parse_args()
    if options.samples < 2:
        fail(f"--samples: got {options.samples}, expected 2 or more")
    for curve in options.curve:
        if len(curve) < 3:
            fail(f"--curve {' '.join(curve)}: expected a name, a model and points")
        for point in curve[2:]:
            if not POINT.fullmatch(point):
                fail(f"{curve[0]}: got {point}, expected ACTIVATION@TEMPERATURE, "
                     "e.g. stocha:0.3@0.6 or silu@0.8+prompt")
        if not pathlib.Path(curve[1]).exists():
            fail(f"{curve[0]}: no model {curve[1]}")
    for path in (options.questions, options.judge):
        if path and not path.exists():
            fail(f"no {path}")
    options.output.mkdir(parents=True, exist_ok=True)
    file = options.output / "results.json"
    points = []
    for i, (name, model, *wanted) in enumerate(options.curve):
        for j, point in enumerate(wanted):
            print(f"generation_curves: {name}, {point}", file=sys.stderr)
            points.append(measured(options, name, model, point, options.output / f"{i}-{j}"))
            file.write_text(json.dumps({"points": points}, indent=1) + "\n")
    draw(points, options.output / "curves.svg")
    print_table(points)


if __name__ == "__main__":
    main()
