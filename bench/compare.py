"""stocha against llama.cpp, transformers and OpenVINO: same shape, format and threads, in turn.

    scripts/setup && bench/setup-peers
    .venv/bin/python bench/compare.py --rows decode-q8_0,prefill-q8_0 --output table.md
    .venv/bin/python bench/compare.py --rows decode-q8_0-135m --model relu-q8_0.gguf --text text.txt

Each round measures the rival, then stocha; figures are medians with least and greatest. The rounds
are logged: with --resume a run that was cut goes on where it stopped. docs/benchmarks.md tells more.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from peers import llama_cpp, markdown, stocha_bench, summary  # noqa: E402
from peers.arguments import (  # noqa: E402
    made,
    positive,
    rows_named,
    warning_when_busy,
    write_report,
)
from peers.machine import REPO, machine  # noqa: E402
from peers.rounds import Log, Options, measure_row  # noqa: E402
from peers.rows import ROWS, Row  # noqa: E402


def compared_rows(text: str) -> list[Row]:
    return rows_named(text, ROWS)


def fraction(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise ValueError
    return value


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="compare.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--rows", type=compared_rows, default=list(ROWS.values()), help="names or starts of names")
    add("--rounds", type=positive, default=5, help="how often rival and stocha take turns (5)")
    add("--sparsity", type=fraction, default=0.9, help="of stocha's synthetic weights (0.9)")
    add("--model", type=pathlib.Path, help="of stocha, instead: packed, of the rows' shape and type")
    add("--text", type=pathlib.Path, help="what that model runs on")
    add("--stocha", type=pathlib.Path, default=REPO / "build/stocha", help="build/stocha")
    add("--rival-only", action="store_true", help="measure the rivals alone")
    add("--output", type=pathlib.Path, help="write the tables here too")
    add("--json", type=pathlib.Path, help="write everything here as JSON")
    add("--log", type=pathlib.Path, default=REPO / "build/peers/rounds.jsonl", help="the rounds")
    add("--resume", action="store_true", help="use the rounds that the log has of this build")
    add("--list", action="store_true", help="name the rows and stop")
    add("--system-info", action="store_true", help="print llama.cpp's and stop")
    options = parser.parse_args(arguments)
    if (options.model is None) != (options.text is None):
        parser.error("--model needs --text, and --text --model")
    for path in (options.model, options.text):
        if path and not path.is_file():
            parser.error(f"no {path}")
    return options


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    if options.list:
        print(*ROWS, sep="\n")
        return 0
    if options.system_info:
        print(llama_cpp.system_info())
        return 0
    against_llama = any(row.rival == "llama.cpp" for row in options.rows)
    system_info = llama_cpp.system_info() if against_llama else ""
    here = machine()
    if warning := warning_when_busy(here["load_average_at_start"]):
        sys.stderr.write(f"compare: {warning}")
    build = None if options.rival_only else stocha_bench.fingerprint(options.stocha)
    weights = stocha_bench.Weights(options.sparsity, options.model, options.text)
    if not options.rival_only:
        for row in options.rows:
            weights.check(options.stocha, row)
    run = {"stocha": build, "cpu": here["cpu"], "cores": here["cores"]} | weights.identity()
    log = Log(options.log, run, options.resume)
    how = Options(options.stocha, weights, options.rounds, options.rival_only)
    report = made("bench/compare.py", arguments, here) | {
        "llama_cpp_system_info": system_info,
        "rows": [
            summary.summarize(row, measure_row(row, how, log), system_info) for row in options.rows
        ],
    }
    write_report(options, report, markdown.page(report))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
