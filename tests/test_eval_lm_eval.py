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


def greedy_answers(stocha, folder, model, examples, num_shots, tmp_path, cache):
    """(what --json says, our answers, lm_eval's) to the examples behind the first `num_shots`."""
    file = write_lines(tmp_path / "all.jsonl", examples)
    shots = write_lines(tmp_path / "shots.jsonl", examples[:num_shots])
    asked = write_lines(tmp_path / "asked.jsonl", examples[num_shots:])
    flags = ["--shots", num_shots, "--max-tokens", 16]
    shown, results = evaluate(stocha, folder, "qa", file, tmp_path / "log.jsonl", *flags)
    _, samples = lm_eval_reference.evaluate(
        model, "qa", asked, cache, shots=shots, num_shots=num_shots, max_tokens=16
    )
    ours = [results[num_shots + i]["answers"][0] for i in range(len(samples))]
    return shown, ours, [sample["resps"][0][0].split("\n")[0].strip() for sample in samples]


def test_greedy_answers_equal_lm_eval(stocha, talking, reference, cache, tmp_path):
    examples = list(own_examples("qa"))
    _, ours, theirs = greedy_answers(stocha, talking, reference, examples, 2, tmp_path, cache)
    assert ours == theirs
    assert len(set(ours)) > 3


def compare_perplexity(stocha, folder, model, text, context, tmp_path):
    """Windows of lm_eval's are as long as the context and begin with the first token of all texts."""
    from lm_eval.api.instance import Instance

    file = tmp_path / "text.txt"
    file.write_text(model.tokenizer.decode([model.prefix_token_id]) + text, encoding="utf-8")
    request = Instance("loglikelihood_rolling", {}, (text,), 0)
    (expected,) = model.loglikelihood_rolling([request], disable_tqdm=True)
    flags = ["--context", context, "--stride", context, "--json", "--perplexity", file]
    shown = json.loads(run_ok(stocha, "eval", folder, *flags, timeout=3000))["results"][0]
    tokens = len(model.tok_encode(text))
    print("nats a token:", shown["nll_per_token"], "lm_eval:", -float(expected) / tokens)
    assert tokens < context  # one window; of several, lm_eval's last one is another
    assert shown["tokens"] == tokens
    assert shown["nll_per_token"] == pytest.approx(-float(expected) / tokens, rel=1e-4)


def test_perplexity_equals_lm_eval(stocha, talking, reference, tmp_path):
    compare_perplexity(stocha, talking, reference, TEXT * 3, 400, tmp_path)


SHARED = {"choice": ["piqa", "arc_easy"], "lambada": ["lambada_openai"]}


def evaluation_set(repo, name):
    source = repo / os.environ.get("STOCHA_EVAL_DATA", "../shared/data/eval") / name
    if not source.is_file():
        pytest.skip(f"no evaluation set {source}: STOCHA_EVAL_DATA names a folder that has it")
    return source


def compare_on_real_examples(stocha, repo, folder, model, kind, name, tmp_path, cache):
    """On 300 of them that are as short as the small model takes."""
    source = evaluation_set(repo, f"{name}.jsonl")
    lines = source.read_text(encoding="utf-8").splitlines(keepends=True)
    lines = [line for line in lines if len(line.encode()) < 400][:300]
    file = tmp_path / f"{name}.jsonl"
    file.write_text("".join(lines), encoding="utf-8")
    print(compare_scores(stocha, folder, model, kind, file, tmp_path, cache))


on_shared_sets = pytest.mark.parametrize(
    "kind, name", [(kind, name) for kind in SHARED for name in SHARED[kind]]
)


@on_shared_sets
def test_scores_equal_lm_eval_on_real_examples(
    stocha, repo, talking, reference, cache, tmp_path, kind, name
):
    compare_on_real_examples(stocha, repo, talking, reference, kind, name, tmp_path, cache)
