"""stocha eval: what --resume keeps, what scores are made of, and bad input."""

import itertools
import json
import random
import signal
import subprocess
import time

import pytest

from harness import assert_one_line_error, run, run_ok
from random_models import TEXT, save_talking_model

QUESTIONS = [
    dict(context="Question: Who?\nAnswer:", answer="The Beatles", aliases=["Beatles", "the fab four"]),
    dict(context="Question: Which?\nAnswer:", answer="École d'Été"),
    dict(context="Question: What?\nAnswer:", answer="a man, a plan: the canal", aliases=["Canal"]),
]
PIECES = "the Beatles! fab Four École d'été a man plan: CANAL, an \u2003 it's".split(" ")


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking")).folder


def write_lines(path, objects):
    path.write_text("".join(json.dumps(line) + "\n" for line in objects), encoding="utf-8")
    return path


def evaluate(stocha, folder, *flags):
    return json.loads(run_ok(stocha, "eval", folder, "--json", *flags))["results"]


def strip_time(results):
    return [{k: v for k, v in one.items() if k not in ("seconds", "sparsity")} for one in results]


def test_qa_scores_equal_the_references(stocha, talking, tmp_path):
    """Answers of our own in the resume file: nothing is computed but the scores."""
    import nltk
    import sacrebleu
    from lm_eval.tasks.super_glue.record import t5_utils as squad

    file, log = write_lines(tmp_path / "qa.jsonl", QUESTIONS), tmp_path / "log.jsonl"
    flags = ["--qa", file, "--shots", 0, "--samples", "1,2,6", "--temperature", 1.5]
    flags += ["--resume", log, "--max-tokens", 2]
    evaluate(stocha, talking, *flags)
    header = json.loads(log.read_text(encoding="utf-8").splitlines()[0])
    source = random.Random(1)
    samples = [
        [" ".join(source.choice(PIECES) for _ in range(source.randint(0, 5))) for _ in range(6)]
        for _ in QUESTIONS
    ]
    samples[0][1:3] = ["Beatles", "beatles."]
    records = [
        dict(task=0, example=i, result=dict(answers=answers)) for i, answers in enumerate(samples)
    ]
    write_lines(log, [header, *records])
    (shown,) = evaluate(stocha, talking, *flags)

    def scores(question, sample):
        answers = [question["answer"], *question.get("aliases", [])]
        items = [(sample, f"0_{answer}") for answer in answers]
        return squad.squad_em_agg(items), squad.squad_f1_agg(items)

    table = [[scores(q, sample) for sample in answers] for q, answers in zip(QUESTIONS, samples)]
    for row in shown["best_of"]:
        for index, name in enumerate(("exact_match", "f1")):
            best = [
                [max(row[index] for row in taken) for taken in itertools.combinations(one, row["n"])]
                for one in table
            ]
            expected = sum(sum(one) / len(one) for one in best) / len(best)
            assert row[name] == pytest.approx(expected, rel=1e-9), (row["n"], name)

    def mean(values):
        values = list(values)
        return sum(values) / len(values)

    diversity = shown["diversity"]
    assert diversity["self_bleu"] == pytest.approx(
        mean(
            sacrebleu.sentence_bleu(
                one[i], one[:i] + one[i + 1 :], tokenize="none", use_effective_order=True
            ).score
            / 100
            for one in samples
            for i in range(6)
        )
    )
    assert diversity["edit_distance"] == pytest.approx(
        mean(
            nltk.edit_distance(a, b) / max(len(a), len(b), 1)
            for one in samples
            for a, b in itertools.combinations(one, 2)
        )
    )
    assert diversity["unique"] == pytest.approx(
        mean(len({squad.normalize_squad(sample) for sample in one}) / 6 for one in samples)
    )


@pytest.fixture
def many(tmp_path):
    """Files of every kind, and the flags that name them."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT * 8, encoding="utf-8")
    choice = dict(query="In the beginning", choices=["the engine", "neurons"], gold=0)
    word = dict(context="In the beginning the", continuation="engine")
    files = dict(
        choice=write_lines(tmp_path / "choice.jsonl", [choice] * 30),
        lambada=write_lines(tmp_path / "lambada.jsonl", [word] * 30),
        qa=write_lines(tmp_path / "qa.jsonl", QUESTIONS * 10),
    )
    flags = ["--perplexity", text, "--context", 64]
    for kind, file in files.items():
        flags += [f"--{kind}", file]
    flags += ["--samples", "1,3", "--temperature", 1, "--activation", "stocha:0.3"]
    return [str(flag) for flag in flags]


def test_a_run_goes_on_from_any_line_to_the_same_results(stocha, talking, tmp_path, many):
    whole = strip_time(evaluate(stocha, talking, *many, "--threads", 1))
    assert [one["kind"] for one in whole] == ["perplexity", "choice", "lambada", "qa"]
    log = tmp_path / "log.jsonl"
    assert strip_time(evaluate(stocha, talking, *many, "--resume", log)) == whole
    text = log.read_bytes()
    for part in (10, len(text) // 3, len(text) * 2 // 3):
        log.write_bytes(text[:part])
        assert strip_time(evaluate(stocha, talking, *many, "--resume", log)) == whole
        assert sorted(log.read_bytes().splitlines()) == sorted(text.splitlines())
    assert evaluate(stocha, talking, *many, "--resume", log)[1]["sparsity"] == []


def test_an_interrupted_run_says_how_to_go_on(stocha, talking, tmp_path, many):
    log = tmp_path / "log.jsonl"
    flags = [*many, "--samples", "1,900", "--max-tokens", "300", "--resume", str(log)]
    process = subprocess.Popen(
        [stocha, "eval", talking, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not (log.exists() and b'"task":2' in log.read_bytes()) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 1
    assert stderr.splitlines()[-1].startswith("stocha: error: eval: interrupted; the same command")


def test_a_resume_file_of_another_evaluation_is_refused(stocha, talking, tmp_path, many):
    log = tmp_path / "log.jsonl"
    evaluate(stocha, talking, *many, "--limit", 3, "--resume", log)
    before = log.read_bytes()
    changes = ["--seed 1", "--shots 2", "--stride 7", "--draw-prompt"]
    for change in map(str.split, [*changes, "--prefill fast", "--input-bits 16"]):
        result = run(stocha, "eval", talking, *many, "--resume", log, *change)
        assert_one_line_error(result, log, "another evaluation")
        assert log.read_bytes() == before
    # More examples are no other evaluation.
    assert evaluate(stocha, talking, *many, "--limit", 5, "--resume", log)[1]["examples"] == 5


def test_bad_examples_and_flags_get_one_line(stocha, talking, tmp_path):
    def refuse(flags, *needles, code=1):
        assert_one_line_error(run(stocha, "eval", talking, *flags), *needles, code=code)

    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"query": "q", "choices": ["a", "b"], "gold": 1}\n{"query": "q"}\n')
    refuse(["--choice", bad], "bad.jsonl:2", "choices")
    refuse(["--lambada", bad], "bad.jsonl:1", "context")
    qa = write_lines(tmp_path / "qa.jsonl", QUESTIONS)
    refuse(["--qa", qa], "qa.jsonl", "too few examples", "more than the 5")
    refuse(["--qa", qa, "--shots", 0, "--max-tokens", 400], "--max-tokens", code=2)
    refuse(["--qa", qa, "--shots", 0, "--samples", 2], "--samples", "temperature", code=2)
    refuse(["--qa", qa, "--samples", "1,0"], "--samples", code=2)
    refuse(["--qa", qa, "--temperature", "nan"], "temperature", code=2)
    refuse(["--qa", tmp_path / "none.jsonl"], "none.jsonl", "No such file")
    refuse([], "required", code=2)
    long = write_lines(tmp_path / "long.jsonl", [dict(context="a", continuation="b " * 500)])
    refuse(["--lambada", long], "long.jsonl: example 1", "401")
