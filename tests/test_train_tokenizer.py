"""tools/train_tokenizer.py."""

import json
import sys

import tokenizers

from harness import run, run_ok
from random_models import TEXT


def train(repo, text, output):
    return [sys.executable, repo / "tools/train_tokenizer.py", "--vocab-size", 300, "--output", output, text]


def test_its_output_may_be_in_a_new_folder_and_what_it_writes_is_read_back(repo, stocha, tmp_path):
    text, output = tmp_path / "text.txt", tmp_path / "new/folder/tokenizer.json"
    text.write_text(TEXT)
    run_ok(*train(repo, text, output))
    ids = tokenizers.Tokenizer.from_file(str(output)).encode(TEXT).ids
    assert json.loads(run_ok(stocha, "encode", output, input=TEXT)) == ids
    assert list(output.parent.iterdir()) == [output]


def test_a_folder_that_cannot_be_is_refused_before_training(repo, tmp_path):
    text, output = tmp_path / "text.txt", tmp_path / "text.txt/tokenizer.json"
    text.write_text(TEXT)
    result = run(*train(repo, text, output))
    assert result.returncode == 1
    assert result.stderr.startswith("train_tokenizer: error: ") and result.stderr.count("\n") == 1
    assert str(output) in result.stderr
