"""stocha tokenize: the ids of the `tokenizers` package in a shard, and what happens to bad input."""

import hashlib
import json
import pathlib
import random
import resource
import signal
import struct
import subprocess
import time

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from harness import assert_one_line_error, run, run_ok

# `zstd -19` of ZST_TEXT and of two JSON lines, so that no test needs a compressor.
ZST_TEXT = "Ein Satz, zwei Sätze.\n" * 3 + "Schluß.\n"
TXT_ZST = (b"(\xb5/\xfd\x04hE\x01\x00\x04\x02Ein Satz, zwei S\xc3\xa4tze.\nSchlu\xc3\x9f.\n"
           b"\x01\x00Ws6\x01W\xaf \xfc")
ZST_DOCUMENTS = ["first ü", "second\nline"]
JSONL_ZST = (b'(\xb5/\xfd\x04h}\x01\x00\x84\x02{"text": "first \\u00fc"}\nsecond\\nline"}\n'
             b"\x01\x00\xf16\xc7\x8e\x16C\x03")

WORDS = ["stochastic", "activation", "the", "neuron", "fires", "naïve", "Größe", "新しい", "🙂", "x_1",
         "2024", "don't", "  ", "\t", "(", ")", "…"]


def random_text(words: int, seed: int) -> str:
    choose = random.Random(seed)
    return "".join(choose.choice(WORDS) + choose.choice([" ", " ", " ", "\n", ", "])
                   for _ in range(words))


def train_bpe(special_tokens) -> Tokenizer:
    """A byte-level BPE as GPT-2 has it, of a few hundred tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=special_tokens,
                                  initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
                                  show_progress=False)
    tokenizer.train_from_iterator([random_text(5000, seed=1)], trainer)
    return tokenizer


@pytest.fixture(scope="session")
def bpe() -> Tokenizer:
    return train_bpe(["<|im_end|>", "<|endoftext|>"])


@pytest.fixture
def tokenizer(bpe, tmp_path) -> pathlib.Path:
    bpe.save(str(tmp_path / "tokenizer.json"))
    return tmp_path / "tokenizer.json"


@pytest.fixture
def tokenize(stocha, tokenizer, tmp_path):
    """tokenize(files..., flags...) runs the command; its shard is tmp_path/out/train.tokens."""
    (tmp_path / "out").mkdir()

    def call(*args, output=tmp_path / "out/train.tokens", **kwargs):
        return run(stocha, "tokenize", "--tokenizer", tokenizer, "--output", output, *args, **kwargs)

    return call


def read_shard(path) -> dict:
    """The file as the description in token_shard.h has it."""
    content = pathlib.Path(path).read_bytes()
    magic, version, token_bytes, tokens, text_bytes, vocab_size, reserved, digest = struct.unpack(
        "<8sIIQQII24s", content[:64])
    assert (magic, version, reserved) == (b"STOCHTOK", 1, 0)
    ids = np.frombuffer(content[64:], dtype={2: "<u2", 4: "<u4"}[token_bytes])
    assert len(ids) == tokens
    return dict(ids=ids.tolist(), text_bytes=text_bytes, vocab_size=vocab_size, digest=digest)


def expected_ids(bpe, documents, end="<|endoftext|>"):
    ids = []
    for document in documents:
        ids += bpe.encode(document).ids + ([bpe.token_to_id(end)] if end else [])
    return ids


def test_txt_is_one_document(tokenize, bpe, tokenizer, tmp_path):
    text = random_text(3000, seed=2)
    (tmp_path / "a.txt").write_text(text, newline="")
    result = tokenize(tmp_path / "a.txt")
    assert result.returncode == 0, result.stderr
    shard = read_shard(tmp_path / "out/train.tokens")
    assert shard["ids"] == expected_ids(bpe, [text])
    assert shard["text_bytes"] == len(text.encode())
    assert shard["vocab_size"] == bpe.get_vocab_size()
    assert shard["digest"] == hashlib.sha256(tokenizer.read_bytes()).digest()[:24]
    assert "ended by <|endoftext|>" in result.stdout


def test_broken_utf8_counts_as_replacement_characters(tokenize, bpe, tmp_path):
    data = b"good \xff\xfe bad \xe6\x97 cut \xed\xa0\x80 surrogate \xf0\x9f\x99\x82"
    (tmp_path / "a.txt").write_bytes(data)
    assert tokenize(tmp_path / "a.txt").returncode == 0
    expected = expected_ids(bpe, [data.decode(errors="replace")])
    assert read_shard(tmp_path / "out/train.tokens")["ids"] == expected


@pytest.mark.parametrize("threads", [1, 3])
def test_jsonl_keeps_the_order_of_documents(tokenize, bpe, tmp_path, threads):
    documents = [random_text(1 + i * i % 400, seed=i) for i in range(300)]
    lines = "".join(json.dumps({"id": i, "text": text}, ensure_ascii=i % 2 == 0) + "\n"
                    for i, text in enumerate(documents))
    (tmp_path / "a.jsonl").write_text(lines + "\n" + json.dumps({"text": ""}))
    result = tokenize(tmp_path / "a.jsonl", "--threads", threads, "--json")
    assert result.returncode == 0, result.stderr
    shard = read_shard(tmp_path / "out/train.tokens")
    assert shard["ids"] == expected_ids(bpe, documents)
    summary = json.loads(result.stdout)
    assert summary["outputs"] == [{
        "path": str(tmp_path / "out/train.tokens"),
        "documents": len(documents),
        "text_bytes": sum(len(text.encode()) for text in documents),
        "tokens": len(shard["ids"]),
    }]
    assert (summary["end_of_text"], summary["end_of_text_id"]) == ("<|endoftext|>", 1)
    assert (summary["threads"], summary["vocab_size"]) == (threads, bpe.get_vocab_size())


def test_zst_of_both_kinds_after_one_another(tokenize, bpe, tmp_path):
    (tmp_path / "a.txt.zst").write_bytes(TXT_ZST)
    (tmp_path / "b.jsonl.zst").write_bytes(JSONL_ZST)
    result = tokenize(tmp_path / "a.txt.zst", tmp_path / "b.jsonl.zst")
    assert result.returncode == 0, result.stderr
    expected = expected_ids(bpe, [ZST_TEXT, *ZST_DOCUMENTS])
    assert read_shard(tmp_path / "out/train.tokens")["ids"] == expected


def test_special_tokens_around_and_within_a_text(stocha, bpe, tmp_path):
    """What the tokenizer puts in front stays; an end that it sets itself is not doubled."""
    tokenizer = train_bpe(["<|endoftext|>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.txt").write_text("one</s>two")
    ids = tokenizer.encode("one</s>two").ids
    assert ids[0] == 1 and ids.count(2) == 2
    for end, expected in [("</s>", ids), ("<|endoftext|>", ids + [0])]:
        run_ok(stocha, "tokenize", "--tokenizer", tmp_path, "--end-of-text", end,
               "--output", tmp_path / "a.tokens", tmp_path / "a.txt")
        assert read_shard(tmp_path / "a.tokens")["ids"] == expected


def test_tokenizer_without_an_end_of_text(stocha, tmp_path):
    tokenizer = train_bpe([])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "a.jsonl").write_text('{"text": "one"}\n{"text": "two"}\n')
    said = run_ok(stocha, "tokenize", "--tokenizer", tmp_path / "tokenizer.json",
                  "--output", tmp_path / "a.tokens", tmp_path / "a.jsonl")
    assert "the tokenizer has no end-of-text token" in said
    assert read_shard(tmp_path / "a.tokens")["ids"] == expected_ids(tokenizer, ["one", "two"], None)


def test_validation_takes_the_last_documents(tokenize, bpe, tmp_path):
    documents = [f"document {i}" for i in range(10)]
    for name, half in [("a.jsonl", documents[:5]), ("b.jsonl", documents[5:])]:
        (tmp_path / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in half))
    result = tokenize(tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--validation-fraction", 0.3,
                      "--validation-output", tmp_path / "out/validation.tokens")
    assert result.returncode == 0, result.stderr
    ids = {name: read_shard(tmp_path / f"out/{name}.tokens")["ids"]
           for name in ["train", "validation"]}
    assert ids["train"] == expected_ids(bpe, documents[:7])
    assert ids["validation"] == expected_ids(bpe, documents[7:])


def test_validation_of_a_single_document_is_its_end(tokenize, bpe, tmp_path):
    text = "".join(f"{i} {random_text(9, seed=i).replace(chr(10), ' ')}\n" for i in range(200))
    (tmp_path / "a.txt").write_text(text)
    result = tokenize(tmp_path / "a.txt", "--validation-fraction", 0.1,
                      "--validation-output", tmp_path / "out/validation.tokens")
    assert result.returncode == 0, result.stderr
    data = text.encode()
    cut = data.index(b"\n", int(0.9 * len(data))) + 1
    for name, part in [("train", data[:cut]), ("validation", data[cut:])]:
        shard = read_shard(tmp_path / f"out/{name}.tokens")
        assert shard["ids"] == expected_ids(bpe, [part.decode()])
        assert shard["text_bytes"] == len(part)


# --- bad input -----------------------------------------------------------------------------------

BAD_FILES = {
    "empty.txt": (b"", "no text"),
    "empty.jsonl": (b"\n\n", "no text"),
    "empty.txt.zst": (b"", "broken zstd stream", "ends too early"),
    "unknown.json": (b"{}", "unknown kind of text", ".jsonl"),
    "no_ending": (b"text", "unknown kind of text"),
    "broken.jsonl": (b'{"text": "a"}\n{"text": "b"\n', "broken.jsonl:2", "broken JSON"),
    "no_text.jsonl": (b'{"body": "a"}\n', "no_text.jsonl:1", '"text"'),
    "number.jsonl": (b'{"text": "a"}\n\n{"text": 7}\n', "number.jsonl:3", "got 7"),
    "latin1.jsonl": (b'{"text": "\xe9"}\n', "latin1.jsonl:1", "broken JSON"),
    "truncated.txt.zst": (TXT_ZST[:-9], "broken zstd stream"),
    "garbage.txt.zst": (b"no zstd at all", "broken zstd stream"),
    "flipped.jsonl.zst": (JSONL_ZST[:30] + b"?" + JSONL_ZST[31:], "broken zstd stream"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_file_is_one_line_and_leaves_nothing(tokenize, tmp_path, name):
    content, *needles = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert_one_line_error(tokenize(tmp_path / name), name, *needles)
    assert list((tmp_path / "out").iterdir()) == []


def test_bad_file_after_good_ones_leaves_nothing(tokenize, tmp_path):
    (tmp_path / "good.txt").write_text(random_text(1000, seed=3))
    (tmp_path / "bad.jsonl").write_text("{")
    result = tokenize(tmp_path / "good.txt", tmp_path / "bad.jsonl", "--validation-fraction", 0.5,
                      "--validation-output", tmp_path / "out/validation.tokens")
    assert_one_line_error(result, "bad.jsonl:1")
    assert list((tmp_path / "out").iterdir()) == []


def test_missing_files_and_bad_flags(tokenize, stocha, tmp_path):
    (tmp_path / "a.txt").write_text("one line")
    assert_one_line_error(tokenize(tmp_path / "missing.txt"), "missing.txt", "No such file")
    (tmp_path / "folder.txt").mkdir()
    assert_one_line_error(tokenize(tmp_path / "folder.txt"), "folder.txt", "a folder")
    assert_one_line_error(tokenize(tmp_path / "a.txt", "--end-of-text", "<eot>"), "--end-of-text",
                          "<eot>")
    assert_one_line_error(
        tokenize(tmp_path / "a.txt", "--validation-fraction", 0.5,
                 "--validation-output", tmp_path / "out/v.tokens"),
        "a.txt", "line break")
    assert_one_line_error(
        run(stocha, "tokenize", "--tokenizer", tmp_path / "none.json", "--output",
            tmp_path / "a.tokens", tmp_path / "a.txt"), "none.json")
    half = tokenize(tmp_path / "a.txt", "--validation-fraction", 0.5)
    assert_one_line_error(half, "--validation-output", code=2)
    same = tokenize(tmp_path / "a.txt", "--validation-fraction", 0.5,
                    "--validation-output", tmp_path / "out/../out/train.tokens")
    assert_one_line_error(same, "one file", code=2)
    for flags in (["--validation-fraction", 1], ["--threads", -1], ["--threads", "many"]):
        assert_one_line_error(tokenize(tmp_path / "a.txt", *flags), flags[0], code=2)
    assert list((tmp_path / "out").iterdir()) == []


def after_progress(result):
    """The result without the lines that said how far it was: it failed at the very end."""
    lines = result.stderr.splitlines(keepends=True)
    assert all(line.startswith("tokenize ") for line in lines[:-1]), result.stderr
    result.stderr = lines[-1]
    return result


def test_output_that_cannot_be_written(tokenize, tmp_path):
    """Tests may run as root, whom permission bits do not stop."""
    (tmp_path / "a.txt").write_text("text")
    for output in ["/proc/a.tokens", tmp_path / "a.txt/a.tokens", tmp_path / "none/a.tokens"]:
        assert_one_line_error(tokenize(tmp_path / "a.txt", output=output), output, "cannot write")
    (tmp_path / "folder").mkdir()
    result = tokenize(tmp_path / "a.txt", output=tmp_path / "folder")
    assert_one_line_error(after_progress(result), "folder", "Is a directory")


def test_full_disk_keeps_the_old_shard(tokenize, tmp_path):
    """A limit on the size of files stands for a disk that fills up."""
    (tmp_path / "a.txt").write_text(random_text(20000, seed=4))
    (tmp_path / "out/train.tokens").write_bytes(b"old")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    result = tokenize(tmp_path / "a.txt", preexec_fn=limit)
    assert_one_line_error(after_progress(result), "train.tokens", "cannot write", "File too large")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train.tokens"]
    assert (tmp_path / "out/train.tokens").read_bytes() == b"old"


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interruption_keeps_the_old_shard(stocha, tokenizer, tmp_path, sent):
    line = json.dumps({"text": random_text(2000, seed=5)}) + "\n"
    (tmp_path / "a.jsonl").write_text(line * (60_000_000 // len(line)))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "train.tokens").write_bytes(b"old")
    process = subprocess.Popen(
        [stocha, "tokenize", "--tokenizer", tokenizer, "--threads", "1", "--output",
         folder / "train.tokens", tmp_path / "a.jsonl"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 30
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(sent)
    _, errors = process.communicate(timeout=60)
    assert (folder / "train.tokens").read_bytes() == b"old"
    if sent == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
        return
    assert process.returncode == 1
    assert "error: interrupted" in errors
    assert [path.name for path in folder.iterdir()] == ["train.tokens"]
