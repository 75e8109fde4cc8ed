"""tools/loss_kept.py."""

import json
import math
import sys
import xml.etree.ElementTree

import pytest

from harness import run, run_ok


def metrics(path, losses, tokens=100):
    lines = [{"type": "validation", "step": 0, "loss": 9.0}]
    lines += [{"type": "step", "step": i, "tokens": (i + 1) * tokens, "loss": loss} for i, loss in enumerate(losses)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def tool(repo, tmp_path):
    return [sys.executable, repo / "tools/loss_kept.py", "--window", 2, "--output", tmp_path / "kept.svg"]


def test_ratios_of_each_window_on_the_same_batches(tool, tmp_path):
    silu = metrics(tmp_path / "silu.jsonl", [3.0, 4.0, 2.0, 3.5, 1.0])
    relu = metrics(tmp_path / "relu.jsonl", [3.5, 4.5, 2.1, 3.7])
    printed = run_ok(*tool, silu, relu)
    assert [line.split("|")[1:3] for line in printed.splitlines()[2:]] == [
        [" 200 ", f" {math.exp(0.5):.3f} ± 0.000 "], [" 400 ", f" {math.exp(0.15):.3f} ± {math.exp(0.15) * 0.05:.3f} "]]
    assert xml.etree.ElementTree.parse(tmp_path / "kept.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("losses, tokens, complaint", [
    ([1.0], 100, "expected at most the 1 steps"),
    ([1.0] * 4, 200, "the reference has other steps"),
    ([1.0, None], 100, "steps without a loss"),
    ([], 100, "got no steps")])
def test_what_cannot_be_compared_is_refused(tool, tmp_path, losses, tokens, complaint):
    silu = metrics(tmp_path / "silu.jsonl", [3.0, 4.0, 2.0])
    result = run(*tool, silu, metrics(tmp_path / "relu.jsonl", losses, tokens))
    assert result.returncode == 1 and complaint in result.stderr and "Traceback" not in result.stderr
    missing = run(*tool, silu, tmp_path / "nothing.jsonl")
    assert missing.returncode == 1 and "no " in missing.stderr
    silu.write_text("{")
    assert "not a run's metrics.jsonl" in run(*tool, silu, silu).stderr
