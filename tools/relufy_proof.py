"""Evaluates the models of recipes/relufy-smollm2.toml and prints them as one Markdown table.

    .venv/bin/python tools/relufy_proof.py runs/relufy --data DATA --output docs/results/relufy.json

DATA holds wikitext2-valid.txt, lambada_openai.jsonl, piqa.jsonl and arc_easy.jsonl. Each finished run of
runs/relufy/results.json, and the model that all of them start from, once as it is and once with ReLU put in
its place, is evaluated with the activation of inference; with --thresholds fit-kl=0.7,0.8 a model also with
thresholds that leave so many of its neurons silent on the text of --calibrate. With --tasks only the models
named have the tasks as well, the others WikiText-2 alone. What --output has already is not evaluated again,
and its models need not be there any more; a run that is cut goes on.
"""

import argparse
import functools
import json
import math
import pathlib
import statistics
import sys
import tomllib

from support import fail, stocha

SETS = {"wikitext2": ("--perplexity", "wikitext2-valid.txt"),
        "lambada": ("--lambada", "lambada_openai.jsonl"),
        "piqa": ("--choice", "piqa.jsonl"),
        "arc_easy": ("--choice", "arc_easy.jsonl")}
ORIGINAL = {"original": "silu", "relu-untrained": "relu"}
KEPT = ("perplexity", "acc", "acc_stderr", "acc_norm", "acc_norm_stderr", "examples", "tokens")


def read(path):
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        fail(f"no {path}")
    except json.JSONDecodeError as error:
        fail(f"{path}: {error}")


def evaluate(model, activation, names, log, options):
    """What `stocha eval` says of a model, by the name of the set."""
    flags = [part for name in names for part in (SETS[name][0], options.data / SETS[name][1])]
    answer = stocha(options.stocha, "eval", model, "--activation", activation, *flags,
                    "--limit", options.limit, "--limit-tokens", options.limit_tokens, "--resume", log, "--json")
    results = dict(zip(names, json.loads(answer)["results"]))
    found = {name: {key: result[key] for key in KEPT if key in result} for name, result in results.items()}
    if "wikitext2" in results:
        found["sparsity_by_layer"] = results["wikitext2"]["sparsity"]
    return found


def missing_sets(name, models, options):
    """The evaluation sets that a model has no result of."""
    wanted = SETS if options.tasks is None or name in options.tasks else ["wikitext2"]
    done = models.get(name, {}).get("evaluation", {})
    return [each for each in wanted if each not in done]


def start_model(runs, results):
    """The model that the runs start from, by the recipe of one of them."""
    recipe = tomllib.loads((runs / "runs" / (results["arms"][0]["run"] + ".toml")).read_text())
    return pathlib.Path(recipe["model"]["init_from"])


def loss_at_start(results, activation):
    """{"val_loss": ...} of the weights that the runs start from, which each validates."""
    losses = [validation["loss"] for run in results["arms"] for validation in run["validations"]
              if validation["tokens"] == 0 and validation["activation"] == activation]
    return {"val_loss": losses[0]} if losses else {}


def all_models(options, results, logs):
    """(name, what gives its folder, activation, what the experiment says) of each."""
    wanted = dict(options.thresholds)
    models = [(name, lambda: start_model(options.runs, results), activation,
               loss_at_start(results, activation))
              for name, activation in ORIGINAL.items()]
    for run in results["arms"]:
        if run["status"] != "finished":
            continue
        name = "-".join(part for part in (run["setting"], run["name"]) if part)
        folder = options.runs / "runs" / run["run"] / "final"
        models.append((name, lambda folder=folder: folder, run["activation"], run))
        for sparsity in wanted.pop(name, []):
            packed = functools.partial(thresholded, folder, name, sparsity, logs, options)
            models.append((f"{name} at {sparsity}", packed, run["activation"], {}))
    if wanted:
        fail(f"--thresholds: no finished run {', '.join(wanted)}")
    return models


def thresholded(folder, name, sparsity, logs, options):
    """The model of `folder`, packed without loss, with thresholds for that sparsity."""
    packed, out = logs / f"{name}.gguf", logs / f"{name}-{sparsity}.gguf"
    if not packed.exists():
        stocha(options.stocha, "quantize", folder, packed, "--type", options.type)
    if not out.exists():
        stocha(options.stocha, "calibrate", packed, out, "--text", options.calibrate, "--sparsity", sparsity)
    return out


def thresholds(text):
    """("fit-kl", ["0.7", "0.8"]) of fit-kl=0.7,0.8."""
    name, _, shares = text.partition("=")
    values = shares.split(",")
    if not name or not all(0 < float(value) < 1 for value in values):
        raise ValueError
    return name, values


def number(value, digits=3):
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def with_error(result, key):
    return "" if result is None else f"{100 * result[key]:.1f} ± {100 * result[key + '_stderr']:.1f}"


def rows(models):
    references = {model.get("setting"): model.get("val_loss") for model in models.values()
                  if model.get("name") == "silu"}
    for name, model in models.items():
        found = model["evaluation"]
        loss = model.get("val_loss")
        reference = references.get(model.get("setting"))
        kept = math.exp(loss - reference) if loss is not None and reference is not None else None
        layers = found["sparsity_by_layer"]
        yield [name, number(loss), number(kept), number(found["wikitext2"]["perplexity"], 2),
               with_error(found.get("lambada"), "acc"), with_error(found.get("piqa"), "acc_norm"),
               with_error(found.get("arc_easy"), "acc_norm"),
               f"{100 * statistics.mean(layers):.1f} ({100 * min(layers):.0f} to {100 * max(layers):.0f})",
               f"{model['seconds'] / 60:.0f}" if "seconds" in model else ""]


def print_table(models):
    columns = ["", "validation loss", "perplexity against SiLU trained on", "WikiText-2 perplexity",
               "LAMBADA, %", "PIQA, %", "ARC-easy, %", "silent, % (layers)", "minutes"]
    print("| " + " | ".join(columns) + " |\n|" + "---|" * len(columns))
    for row in rows(models):
        print("| " + " | ".join(row) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--stocha", default="build/stocha")
    parser.add_argument("--limit", type=int, default=1000, help="examples of each set")
    parser.add_argument("--limit-tokens", type=int, default=50000, help="of WikiText-2")
    parser.add_argument("--thresholds", type=thresholds, action="append", default=[], metavar="NAME=SPARSITY,...")
    parser.add_argument("--calibrate", type=pathlib.Path, help="text for --thresholds")
    parser.add_argument("--tasks", type=lambda text: text.split(","), metavar="NAME,...",
                        help="models that have LAMBADA, PIQA and ARC-easy as well; default: all")
    parser.add_argument("--type", default="bf16", help="of the packed models for --thresholds")
    options = parser.parse_args()
    if options.thresholds and not options.calibrate:
        fail("--thresholds needs --calibrate TEXT")
    saved = read(options.output) if options.output.exists() else {"models": {}}
    models = saved["models"]
    if options.data:
        results = read(options.runs / "results.json")
        saved |= {key: value for key, value in results.items() if key not in ("arms", "groups")}
        logs = options.runs / "eval"
        logs.mkdir(exist_ok=True)
        found_models = all_models(options, results, logs)
        strangers = set(options.tasks or []) - {model[0] for model in found_models} - set(models)
        if strangers:
            fail(f"--tasks: no model {', '.join(sorted(strangers))}")
        for name, folder, activation, run in found_models:
            names = missing_sets(name, models, options)
            found = models.get(name, {}).get("evaluation", {})
            if names:
                print(f"relufy_proof: {name}: {', '.join(names)}", file=sys.stderr)
                log = logs / f"{name}-{'-'.join(names)}.jsonl"
                found |= evaluate(folder(), activation, names, log, options)
            models[name] = {**run, "evaluation": found}
            options.output.write_text(json.dumps(saved, indent=1) + "\n")
    print_table(models)


if __name__ == "__main__":
    main()
