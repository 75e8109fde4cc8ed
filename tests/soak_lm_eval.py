"""stocha eval against lm_eval on SmolLM2 and 300 real examples of each kind: run by scripts/soak."""

import json

import pytest

import lm_eval_reference
from test_eval_lm_eval import (
    cache,  # noqa: F401  (a fixture)
    compare_on_real_examples,
    compare_perplexity,
    evaluation_set,
    greedy_answers,
    on_shared_sets,
)


@pytest.fixture(scope="module")
def reference(smollm2):
    return lm_eval_reference.load(smollm2)


@on_shared_sets
def test_scores_equal_lm_eval(stocha, repo, smollm2, reference, cache, tmp_path, kind, name):  # noqa: F811
    compare_on_real_examples(stocha, repo, smollm2, reference, kind, name, tmp_path, cache)


def test_greedy_answers_equal_lm_eval(stocha, repo, smollm2, reference, cache, tmp_path):  # noqa: F811
    """300 questions after five examples; the answers are scored by lm_eval's SQuAD metrics."""
    from lm_eval.tasks.super_glue.record import t5_utils as squad

    lines = evaluation_set(repo, "triviaqa_sm_sub.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(line) for line in lines[:305]]
    shown, ours, theirs = greedy_answers(stocha, smollm2, reference, examples, 5, tmp_path, cache)
    scored = [  # the best of a question's answers counts; the metrics part "group_answer" at "_"
        [(answer, "0_" + gold.replace("_", "")) for gold in [example["answer"], *example["aliases"]]]
        for example, answer in zip(examples[5:], theirs, strict=True)
    ]
    metrics = {"exact_match": squad.squad_em_agg, "f1": squad.squad_f1_agg}
    best = shown["best_of"][0]
    other = sum(mine != theirs[i] for i, mine in enumerate(ours))
    print(best, "answers that differ:", other)
    for name, metric in metrics.items():
        expected = sum(metric(items) for items in scored) / len(scored)
        assert best[name] == pytest.approx(expected, abs=1.001 / len(scored)), name
    assert other <= 3  # a near tie of two tokens falls either way


def test_perplexity_equals_lm_eval(stocha, repo, smollm2, reference, tmp_path):
    text = evaluation_set(repo, "wikitext2-valid.txt").read_text(encoding="utf-8")[:30000]
    compare_perplexity(stocha, smollm2, reference, text, 8192, tmp_path)
