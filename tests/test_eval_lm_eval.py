"""stocha eval against lm_eval on the same model folder and the same examples."""

import json
import os
import random

import pytest
import tokenizers
import transformers

import lm_eval_reference
from harness import run_ok
from random_models import TEXT, save_talking_model

WORDS = "beginning engine token neurons fire read same bits threads Größe naïve 日本語 🙂 the In, 12".split()


def text_of(source, count):
    return " ".join(source.choice(WORDS) for _ in range(count))


def own_examples(kind, count=14):
    source = random.Random(kind)
    for _ in range(count):
        if kind == "choice":
            choices = [text_of(source, source.randint(1, 6)) for _ in range(source.randint(2, 4))]
            query = text_of(source, 8) + source.choice(["", "?", "\n", " \n"])
            yield dict(query=query, choices=choices, gold=source.randrange(len(choices)))
        elif kind == "lambada":
            yield dict(context=text_of(source, 12), continuation=source.choice(WORDS))
        else:
            context = f"Question: {text_of(source, 5)}?\nAnswer:"
            yield dict(context=context, answer=text_of(source, 2), aliases=[source.choice(WORDS)])


def write_lines(path, examples):
    path.write_text("".join(json.dumps(example) + "\n" for example in examples), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    saved = save_talking_model(tmp_path_factory.mktemp("talking"))
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer.from_file(str(saved.folder / "tokenizer.json")),
        eos_token="<|end|>",
    ).save_pretrained(saved.folder)
    return saved.folder


@pytest.fixture(scope="module")
def reference(talking):
    return lm_eval_reference.load(talking)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("datasets")


def evaluate(stocha, folder, kind, file, log, *flags):
    """The object of --json, and the results of each example."""
    command = ["eval", folder, f"--{kind}", file, "--json", "--resume", log, *flags]
    shown = json.loads(run_ok(stocha, *command, timeout=3000))["results"][0]
    records = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()[1:]]
    return shown, {record["example"]: record["result"] for record in records}


def compare_scores(stocha, folder, model, kind, file, tmp_path, cache):
    """Log-likelihoods agree, and every mean within one example."""
    shown, results = evaluate(stocha, folder, kind, file, tmp_path / "log.jsonl")
    means, samples = lm_eval_reference.evaluate(model, kind, file, cache)
    assert shown["examples"] == len(samples) == len(results)
    for i, sample in enumerate(samples):
        expected = [response[0] for response in sample["resps"]]  # (log-likelihood, greedy)
        assert results[i]["log_likelihoods"] == pytest.approx(
            [float(pair[0]) for pair in expected], rel=1e-3, abs=1e-3
        )
    for name in ("acc", "acc_norm", "acc_bytes"):
        if name in means:
            assert shown[name] == pytest.approx(means[name], abs=1.001 / len(samples)), name
    if kind == "lambada":
        assert shown["perplexity"] == pytest.approx(means["perplexity"], rel=1e-3)
    return means


@pytest.mark.parametrize("kind", ["choice", "lambada"])
def test_scores_equal_lm_eval(stocha, talking, reference, cache, tmp_path, kind):
    file = write_lines(tmp_path / "own.jsonl", own_examples(kind))
    compare_scores(stocha, talking, reference, kind, file, tmp_path, cache)


def test_greedy_answers_equal_lm_eval(stocha, talking, reference, cache, tmp_path):
    examples = list(own_examples("qa"))
    file = write_lines(tmp_path / "all.jsonl", examples)
    shots = write_lines(tmp_path / "shots.jsonl", examples[:2])
    asked = write_lines(tmp_path / "asked.jsonl", examples[2:])
    flags = ["--shots", 2, "--max-tokens", 16]
    _, results = evaluate(stocha, talking, "qa", file, tmp_path / "log.jsonl", *flags)
    _, samples = lm_eval_reference.evaluate(
        reference, "qa", asked, cache, shots=shots, num_shots=2, max_tokens=16
    )
    answers = [results[2 + i]["answers"][0] for i in range(len(samples))]
    assert answers == [sample["resps"][0][0].split("\n")[0].strip() for sample in samples]
    assert len(set(answers)) > 3


def test_perplexity_equals_lm_eval(stocha, talking, reference, tmp_path):
    """Windows of lm_eval's are as long as the context and begin with the end-of-text token."""
    from lm_eval.api.instance import Instance

    file = tmp_path / "text.txt"
    file.write_text("<|end|>" + TEXT * 3, encoding="utf-8")
    request = Instance("loglikelihood_rolling", {}, (TEXT * 3,), 0)
    (expected,) = reference.loglikelihood_rolling([request], disable_tqdm=True)
    flags = ["--context", 400, "--stride", 400, "--json", "--perplexity", file]
    shown = json.loads(run_ok(stocha, "eval", talking, *flags))["results"][0]
    tokens = len(reference.tok_encode(TEXT * 3))
    assert tokens < 400  # one window; of several, lm_eval's last one is another
    assert shown["tokens"] == tokens
    assert shown["nll_per_token"] == pytest.approx(-float(expected) / tokens, rel=1e-4)


SHARED = {"choice": ["piqa", "arc_easy"], "lambada": ["lambada_openai"]}
LONG = pytest.mark.skipif(
    not os.environ.get("STOCHA_EVAL_LONG"), reason="takes minutes: set STOCHA_EVAL_LONG=1"
)


def evaluation_set(repo, name):
    source = repo / os.environ.get("STOCHA_EVAL_DATA", "../shared/data/eval") / name
    if not source.is_file():
        pytest.skip(f"no evaluation set {source}: STOCHA_EVAL_DATA names a folder that has it")
    return source


@pytest.mark.parametrize("kind, name", [(kind, name) for kind in SHARED for name in SHARED[kind]])
def test_scores_equal_lm_eval_on_real_examples(
    stocha, repo, talking, reference, cache, tmp_path, kind, name, request
):
    """300 examples, by the random model; by SmolLM2, which takes minutes, with STOCHA_EVAL_LONG=1."""
    source = evaluation_set(repo, f"{name}.jsonl")
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line for line in lines if len(line.encode()) < 400][:300]  # what the small one takes
    file = tmp_path / f"{name}.jsonl"
    file.write_text("".join(lines), encoding="utf-8")
    folder, model = talking, reference
    if os.environ.get("STOCHA_EVAL_LONG"):
        folder = request.getfixturevalue("smollm2")
        model = request.getfixturevalue("smollm2_reference")
    print(compare_scores(stocha, folder, model, kind, file, tmp_path, cache))


@pytest.fixture(scope="module")
def smollm2_reference(smollm2):
    return lm_eval_reference.load(smollm2)


@LONG
def test_smollm2_answers_as_in_lm_eval(stocha, repo, smollm2, smollm2_reference, cache, tmp_path):
    """300 questions after five examples, greedily; the answers are scored by lm_eval's SQuAD metrics."""
    from lm_eval.tasks.super_glue.record import t5_utils as squad

    lines = evaluation_set(repo, "triviaqa_sm_sub.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(line) for line in lines[:305]]
    file = write_lines(tmp_path / "all.jsonl", examples)
    shots = write_lines(tmp_path / "shots.jsonl", examples[:5])
    asked = write_lines(tmp_path / "asked.jsonl", examples[5:])
    flags = ["--shots", 5, "--max-tokens", 16, "--temperature", 0, "--samples", 1]
    shown, results = evaluate(stocha, smollm2, "qa", file, tmp_path / "log.jsonl", *flags)
    _, samples = lm_eval_reference.evaluate(
        smollm2_reference, "qa", asked, cache, shots=shots, num_shots=5, max_tokens=16
    )
    answers = [sample["resps"][0][0].split("\n")[0].strip() for sample in samples]
    other = sum(results[5 + i]["answers"][0] != answer for i, answer in enumerate(answers))
    best = shown["best_of"][0]
    asked_of = [  # the best of a question's answers counts; the metrics part "group_answer" at "_"
        [(answer, "0_" + gold.replace("_", "")) for gold in [example["answer"], *example["aliases"]]]
        for example, answer in zip(examples[5:], answers, strict=True)
    ]
    metrics = {"exact_match": squad.squad_em_agg, "f1": squad.squad_f1_agg}
    expected = {
        name: sum(metric(items) for items in asked_of) / len(asked_of)
        for name, metric in metrics.items()
    }
    print(best, expected, "answers that differ:", other)
    for name in expected:
        assert best[name] == pytest.approx(expected[name], abs=1.001 / len(answers))
    assert other <= 3  # a near tie of two tokens falls either way


@LONG
def test_smollm2_perplexity_equals_lm_eval(stocha, repo, smollm2, smollm2_reference, tmp_path):
    from lm_eval.api.instance import Instance

    text = evaluation_set(repo, "wikitext2-valid.txt").read_text(encoding="utf-8")[:30000]
    file = tmp_path / "text.txt"
    first = smollm2_reference.tokenizer.decode([smollm2_reference.prefix_token_id])
    file.write_text(first + text, encoding="utf-8")
    request = Instance("loglikelihood_rolling", {}, (text,), 0)
    (expected,) = smollm2_reference.loglikelihood_rolling([request], disable_tqdm=True)
    flags = ["--context", 8192, "--stride", 8192, "--json", "--perplexity", file]
    shown = json.loads(run_ok(stocha, "eval", smollm2, *flags, timeout=3000))["results"][0]
    tokens = len(smollm2_reference.tok_encode(text))
    print(shown["nll_per_token"], -float(expected) / tokens)
    assert tokens < 8191 and shown["tokens"] == tokens
    assert shown["nll_per_token"] == pytest.approx(-float(expected) / tokens, rel=1e-4)
