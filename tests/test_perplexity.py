"""stocha eval against the same windows through transformers."""

import json

import numpy as np
import pytest
import torch

from harness import run_ok
from random_models import SMALL, TEXT, reference_logits, save_talking_model


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking"))


def reference_nll(model, ids, context, stride):
    """Sum over scored tokens, and their count, by the definition in eval/perplexity.h."""
    total, count, scored_to = 0.0, 0, 0
    for begin in range(0, len(ids), stride):
        window = ids[begin : begin + context]
        first = max(scored_to - begin, 1)
        logits = reference_logits(model, window)
        nll = torch.nn.functional.cross_entropy(
            logits[first - 1 : -1].double(), torch.tensor(window[first:]), reduction="sum"
        )
        total, count = total + nll.item(), count + len(window) - first
        scored_to = begin + len(window)
        if scored_to == len(ids):
            return total, count


@pytest.mark.parametrize("context, stride", [(64, 20), (400, 200), (32, 32)])
def test_perplexity_equals_transformers(stocha, talking, tmp_path, context, stride):
    file = tmp_path / "text.txt"
    file.write_text(TEXT * 4, encoding="utf-8")
    ids = talking.tokenizer.encode(TEXT * 4).ids
    nll, count = reference_nll(talking.model, ids, context, stride)
    arguments = ["--context", context, "--stride", stride, "--json"]
    output = run_ok(stocha, "eval", talking.folder, "--perplexity", file, *arguments)
    shown = json.loads(output)["results"][0]
    assert shown["tokens"] == count
    assert shown["nll_per_token"] == pytest.approx(nll / count, rel=1e-4)
    assert shown["perplexity"] == pytest.approx(np.exp(nll / count), rel=1e-3)
    assert len(shown["sparsity"]) == SMALL["num_hidden_layers"]
    if stride < context:
        first = len(talking.tokenizer.decode(ids[:1]).encode())
        assert shown["bytes"] == len((TEXT * 4).encode()) - first
        assert shown["bits_per_byte"] == pytest.approx(nll / np.log(2) / shown["bytes"], rel=1e-4)


def test_perplexity_of_the_first_tokens_and_of_one_seed(stocha, talking, tmp_path):
    file = tmp_path / "text.txt"
    file.write_text(TEXT, encoding="utf-8")

    def evaluate(*args):
        output = run_ok(stocha, "eval", talking.folder, "--perplexity", file, "--json", *args)
        return json.loads(output)["results"][0]

    assert evaluate("--limit-tokens", 11)["tokens"] == 10
    drawn = ["--activation", "stocha:0.5", "--seed"]
    assert evaluate(*drawn, 3)["perplexity"] == evaluate(*drawn, 3, "--threads", 2)["perplexity"]
    assert evaluate(*drawn, 3)["perplexity"] != evaluate(*drawn, 4)["perplexity"]
