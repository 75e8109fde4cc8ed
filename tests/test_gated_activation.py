"""The coins' known answers against numpy, and the benchmark of the activation."""

import json
import sys

import pytest

from harness import assert_one_line_error, run, run_ok


@pytest.fixture(scope="module")
def stocha_train(build_dir):
    return build_dir / "stocha-train"


def test_the_table_of_known_coins_is_what_numpy_computes(repo):
    # The tool checks its Philox against the known answers of Philox's authors first.
    table = run_ok(sys.executable, repo / "tools" / "generate_coin_table.py")
    assert table == (repo / "stocha" / "model" / "testdata" / "coins.txt").read_text()


def test_bench_activation_gives_its_figures_as_json(stocha_train):
    args = ["bench-activation", "--rounds", "1", "--threads", "2", "--json"]
    figures = json.loads(run_ok(stocha_train, *args, timeout=300))
    assert figures["rounds"] == 1 and figures["threads"] == 2
    assert figures["parameters"] == 12_194_688
    stocha, silu, torch_silu, naive = figures["variants"]
    assert figures["step_ms"] == stocha["step_ms"] > 0
    assert figures["tokens_per_s"] == pytest.approx(1000 * 16 * 256 / figures["step_ms"])
    faster = min(silu["step_ms"], torch_silu["step_ms"])
    for variant, key in (stocha, "step_overhead_percent"), (naive, "naive_step_overhead_percent"):
        assert figures[key] == pytest.approx(100 * (variant["step_ms"] / faster - 1))
        low, high = figures[f"{key}_quartiles"]
        assert low <= high


@pytest.mark.parametrize("flags", [["--rounds", "0"], ["--threads", "none"], ["--frobnicate"]])
def test_bench_activation_refuses_bad_flags(stocha_train, flags):
    assert_one_line_error(run(stocha_train, "bench-activation", *flags), code=2)
