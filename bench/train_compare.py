"""stocha train against transformers with torch.compile: same shape, batch and threads, in turn.

    scripts/setup
    .venv/bin/python bench/train_compare.py --rows 12m --output table.md

stocha trains with StochA; the peer with plain SiLU, or with StochA as one writes it in PyTorch. Each
round measures the peer, then stocha; figures are medians with least and greatest. The rounds are
logged: with --resume a run that was cut goes on where it stopped. docs/benchmarks.md tells more.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peers.arguments import (  # noqa: E402
    made,
    positive,
    rows_named,
    warning_when_busy,
    write_report,
)
from peers.machine import REPO, machine  # noqa: E402
from peers.rounds import Log  # noqa: E402
from peers.stocha_bench import fingerprint  # noqa: E402
from train_peers import peer, stocha_train, tables  # noqa: E402
from train_peers.rows import OP_ROW, ROWS, Row  # noqa: E402

OP_ROUNDS = 5  # of bench-activation, for every round of the others
ALL_ROWS = ROWS | {OP_ROW: OP_ROW}


def compared_rows(text: str) -> list[Row | str]:
    return rows_named(text, ALL_ROWS)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="train_compare.py",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    add = parser.add_argument
    add("--rows", type=compared_rows, default=list(ALL_ROWS.values()), help="names, or their starts")
    add("--rounds", type=positive, default=5, help="how often peer and stocha take turns (5)")
    add("--stocha", type=pathlib.Path, default=REPO / "build/stocha", help="build/stocha")
    add("--output", type=pathlib.Path, help="write the table here too")
    add("--json", type=pathlib.Path, help="write everything here as JSON")
    log = REPO / "build/peers/train-rounds.jsonl"
    add("--log", type=pathlib.Path, default=log, help="the rounds")
    add("--resume", action="store_true", help="use the rounds that the log has of this build")
    add("--list", action="store_true", help="name the rows and stop")
    return parser.parse_args(arguments)


def measure_row(row: Row, stocha: pathlib.Path, rounds: int, log: Log) -> list[dict]:
    """All rounds of a row: those of the log, then new ones, each peer first, then stocha."""
    done = log.rounds_of(row)
    if len(done) >= rounds:
        return done[:rounds]
    rival = peer.peer_of(row, done[-1]["rival"]["setting"] if done else None)
    try:
        for number in range(len(done) + 1, rounds + 1):
            theirs = {"name": rival.name, "version": rival.version, "setting": rival.setting}
            theirs |= rival.ask({"matmul": True}) | rival.ask({"steps": row.steps})
            ours = stocha_train.measure(stocha, row)
            log.add(row, theirs, ours)
            speeds = f"peer {theirs['tokens_per_s']:,.0f}, stocha {ours['tokens_per_s']:,.0f} tok/s"
            print(f"{row.name} {number}/{rounds}: {speeds}", file=sys.stderr, flush=True)
    finally:
        rival.close()
    return log.rounds_of(row)[:rounds]


def result_of(row: Row | str, options: argparse.Namespace, log: Log) -> dict:
    if row == OP_ROW:
        rounds = OP_ROUNDS * options.rounds
        return tables.summarize_op(stocha_train.op_overhead(options.stocha, rounds, threads=2))
    return tables.summarize(row, measure_row(row, options.stocha, options.rounds, log))


def build_of(stocha: pathlib.Path) -> str:
    """Both programs: the trainer is what is measured."""
    programs = (stocha, stocha_train.program_beside(stocha))
    return "-".join(fingerprint(program) for program in programs)


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.list:
        print(*ALL_ROWS, sep="\n")
        return 0
    here = machine()
    if warning := warning_when_busy(here["load_average_at_start"]):
        sys.stderr.write(f"train_compare: {warning}")
    run = {"stocha": build_of(options.stocha), "cpu": here["cpu"], "cores": here["cores"]}
    log = Log(options.log, run, options.resume)
    report = made("bench/train_compare.py", arguments, here) | {
        "rows": [result_of(row, options, log) for row in options.rows],
    }
    write_report(options, report, tables.page(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
