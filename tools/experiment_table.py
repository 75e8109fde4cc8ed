"""Prints what results.json of `stocha experiment` holds as Markdown: arms, gaps between arms, runs.

    .venv/bin/python tools/experiment_table.py docs/results/pilot.json [--against silu]

A gap is the difference of two arms' mean validation losses at one setting; it counts where it exceeds
twice the larger of the two spreads (sample standard deviations over seeds).
"""

import argparse
import json


def number(value, digits=4):
    return "" if value is None else f"{value:.{digits}f}"


def percent(value):
    return "" if value is None else f"{100 * value:.1f} %"


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def arms_table(results):
    runs = {}
    for run in results["arms"]:
        runs.setdefault((run["setting"], run["name"]), run)
    rows = []
    for group in results["groups"]:
        run = runs.get((group["setting"], group["name"]))
        if run is None:
            continue
        scan = ", ".join(f"{rate:g}: {number(loss) or 'none'}"
                         for rate, loss in zip(group["learning_rates"], group["scan_losses"]))
        rows.append([group["setting"], group["name"], f"{run['params']:,}",
                     number(group["val_loss"]), number(group["val_loss_spread"]),
                     str(group["seeds"]), percent(group["sparsity"]),
                     "" if group["learning_rate"] is None else f"{group['learning_rate']:g}", scan])
    return table(["setting", "arm", "parameters", "validation loss", "spread", "seeds", "silent",
                  "learning rate", "first seed's losses"], rows)


def gaps_table(results, against):
    groups = {(g["setting"], g["name"]): g for g in results["groups"]}
    rows = []
    for (setting, name), group in groups.items():
        base = groups.get((setting, against))
        known = base and None not in (group["val_loss"], base["val_loss"],
                                      group["val_loss_spread"], base["val_loss_spread"])
        if name == against or not known:
            continue
        gap = group["val_loss"] - base["val_loss"]
        bound = 2 * max(group["val_loss_spread"], base["val_loss_spread"])
        rows.append([setting, f"{name} - {against}", f"{gap:+.4f}", number(bound),
                     "yes" if abs(gap) > bound else "no"])
    return table(["setting", "arms", "gap", "twice the spread", "counts"], rows) if rows else ""


def runs_table(results):
    rows = [[run["run"], run["status"], f"{run['tokens']:,}", number(run["val_loss"]),
             number(run["val_loss_before_switch"]), number(run["val_loss_at_switch"]),
             percent(run["sparsity"]), number(run["seconds"] / 60, 1)] for run in results["arms"]]
    return table(["run", "status", "tokens", "validation loss", "before the switch",
                  "at the switch, as at inference", "silent", "minutes"], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results")
    parser.add_argument("--against", default="silu")
    arguments = parser.parse_args()
    with open(arguments.results, encoding="utf-8") as file:
        results = json.load(file)
    print(arms_table(results))
    print(gaps_table(results, arguments.against))
    print(runs_table(results))


if __name__ == "__main__":
    main()
