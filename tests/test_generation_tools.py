"""tools/book_prompts.py and tools/generation_curves.py."""

import json
import subprocess
import sys
import xml.etree.ElementTree

import pytest
import tokenizers
import torch
import transformers

from harness import run, run_ok
from random_models import TEXT, save_talking_model


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    return save_talking_model(tmp_path_factory.mktemp("talking")).folder


@pytest.fixture
def questions(tmp_path):
    words = TEXT.split()
    file = tmp_path / "questions.jsonl"
    lines = [{"context": " ".join(words[i:i + 6]), "answer": words[i + 6], "aliases": []} for i in range(3)]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def curves(repo, stocha, questions, output, *flags):
    return run(sys.executable, repo / "tools/generation_curves.py", "--stocha", stocha, "--questions", questions,
               "--output", output, "--samples", 3, "--max-tokens", 8, *flags)


def nats_of(folder, query, choice):
    """-log P(choice after query), by transformers."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    start, whole = (len(tokenizer.encode(text).ids) for text in (query, query + choice))
    ids = torch.tensor([tokenizer.encode(query + choice).ids])
    assert len(ids[0]) == whole > start
    with torch.no_grad():
        likely = model(ids).logits[0].log_softmax(-1)
    return -sum(likely[i - 1, ids[0, i]].item() for i in range(start, whole))


def test_curves_are_drawn_and_judged_as_transformers_does(repo, stocha, talking, questions, tmp_path):
    output = tmp_path / "out"
    flags = ["--judge", talking, "--curve", "ReLU", talking, "relu@0.5", "relu@1.5", "--curve", "draws",
             talking, "stocha:0.5@0.5", "stocha:0.5@0.5+prompt"]
    result = curves(repo, stocha, questions, output, *flags)
    assert result.returncode == 0, result.stderr
    points = json.loads((output / "results.json").read_text())["points"]
    assert [point["point"] for point in points] == ["relu@0.5", "relu@1.5", "stocha:0.5@0.5",
                                                    "stocha:0.5@0.5+prompt"]
    assert points[1]["diversity"]["unique"] >= points[0]["diversity"]["unique"]
    assert points[2]["silent"] < points[0]["silent"]  # draws wake neurons
    assert [best["n"] for best in points[0]["best_of"]] == [1, 2, 3]
    asked = [json.loads(line) for line in (output / "0-0.samples.jsonl").read_text().splitlines()]
    pairs = [(line["query"], choice) for line in asked for choice in line["choices"]]
    expected = sum(nats_of(talking, *pair) for pair in pairs) / sum(len(c.encode()) for _, c in pairs)
    assert points[0]["judge_nats_per_byte"] == pytest.approx(expected, rel=1e-3)
    drawing = xml.etree.ElementTree.parse(output / "curves.svg").getroot()
    assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(result.stdout.splitlines()) == 2 + 4

    (output / "results.json").unlink()
    again = curves(repo, stocha, questions, output, *flags)
    assert "questions/s" not in again.stderr and again.stdout == result.stdout

    questions.write_text(questions.read_text() + "\n")  # another file: what is there is not its result
    other = curves(repo, stocha, questions, output, *flags)
    assert other.returncode == 1 and "0-0.jsonl" in other.stderr


def test_curves_without_a_judge_count_right_answers(repo, stocha, talking, questions, tmp_path):
    result = curves(repo, stocha, questions, tmp_path / "out", "--curve", "ReLU", talking, "relu@0.5")
    assert result.returncode == 0, result.stderr
    assert "one of 3 is right, %" in result.stdout
    refused = curves(repo, stocha, questions, tmp_path / "out", "--curve", "ReLU", talking, "relu")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1] == ("generation_curves: error: ReLU: got relu, expected "
                                               "ACTIVATION@TEMPERATURE, e.g. stocha:0.3@0.6 or silu@0.8+prompt")


def test_prompts_are_beginnings_of_paragraphs(repo, tmp_path):
    paragraphs = [f"Paragraph {i} " + "goes on and on and on " * 6 for i in range(5)]
    books = tmp_path / "books.jsonl"
    books.write_text(json.dumps({"text": "# Title\n\n" + "\n\n".join(paragraphs)}) + "\n")
    subprocess.run(["zstd", "--quiet", str(books)], check=True)
    command = [sys.executable, repo / "tools/book_prompts.py", tmp_path / "books.jsonl.zst", "--output",
               tmp_path / "prompts.jsonl", "--characters", 40]
    run_ok(*command, "--num-prompts", 4)
    prompts = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert len({prompt["context"] for prompt in prompts}) == 4
    for prompt in prompts:
        assert 40 <= len(prompt["context"]) < 50
        assert prompt["context"] + " " + prompt["answer"] in paragraphs
    result = run(*command, "--num-prompts", 6)
    assert result.returncode == 1 and "5 paragraphs are long enough, expected 6" in result.stderr
