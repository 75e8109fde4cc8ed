"""What must not hang, crash or pass: bad tokenizer.json files, and patterns that explode."""

import json

import pytest

from harness import assert_one_line_error, run, run_ok
from tokenizer_files import split, write_tokenizer


@pytest.mark.parametrize(
    "regex",
    [r"(a+)+$", r"(a|aa)+$", r"(a*)*(y|z)", r".*(y|z)", r"a*?a*(y|z)", r"(?=(?:aa)*(y|z))a", r"(?:a+)*+(y|z)"],
)
def test_catastrophic_patterns_are_stopped(stocha, tmp_path, regex):
    path = write_tokenizer(tmp_path / "t.json", [split(regex)])
    result = run(stocha, "encode", path, input="a" * 300_000 + "!", timeout=30)
    assert_one_line_error(result, path, "too much work", regex)


BAD_MODELS = {
    "id twice": ({"vocab": {"a": 0, "b": 0}}, "two tokens have the id 0"),
    "negative id": ({"vocab": {"a": -1}}, "got -1"),
    "huge id": ({"vocab": {"a": 2**40}}, f"got {2**40}"),
    "id that is no number": ({"vocab": {"a": "0"}}, 'got "0"'),
    "vocabulary that is a list": ({"vocab": []}, "an object"),
    "nothing": ({"vocab": {}}, "vocab"),
    "merge of an unknown token": ({"vocab": {"a": 0}, "merges": ["a b"]}, '"b" is not there'),
    "merge into an unknown token": ({"vocab": {"a": 0, "b": 1}, "merges": ["a b"]}, '"ab" is not there'),
    "merge of three": ({"vocab": {"a": 0}, "merges": ["a a a"]}, "broken merge"),
    "merge of numbers": ({"merges": [[1, 2]]}, "broken merge"),
    "dropout": ({"dropout": 0.1}, "dropout"),
    "byte fallback": ({"byte_fallback": True}, "byte_fallback"),
    "subword prefix": ({"continuing_subword_prefix": "##"}, "continuing_subword_prefix"),
    "another model": ({"type": "Unigram"}, "Unigram"),
    "unknown token that is missing": ({"vocab": {"a": 0}, "unk_token": "<unk>"}, "unk_token"),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models_are_refused(stocha, tmp_path, name):
    options, needle = BAD_MODELS[name]
    path = write_tokenizer(tmp_path / "t.json", **options)
    assert_one_line_error(run(stocha, "encode", path, input="a"), path, needle)


BAD_PARTS = {
    "other pre-tokenizer": ({"pre_tokenizer": {"type": "Metaspace"}}, "Metaspace"),
    "no byte level": ({"pre_tokenizer": split("a")}, "ByteLevel"),
    "no pre-tokenizer": ({"pre_tokenizer": None}, "pre_tokenizer"),
    "unclosed pattern": ({"pre_tokenizer": split("(a")}, "ByteLevel"),
    "other normalizer": ({"normalizer": {"type": "NFKC"}}, "NFKC"),
    "other decoder": ({"decoder": {"type": "WordPiece"}}, "WordPiece"),
    "no decoder": ({"decoder": None}, "decoder"),
    "other post-processor": ({"post_processor": {"type": "BertProcessing"}}, "BertProcessing"),
    "truncation": ({"truncation": {"max_length": 5}}, "truncation"),
    "later version": ({"version": "2.0"}, "2.0"),
    "added id taken": ({"added_tokens": [{"id": 0, "content": "<x>"}]}, "added_tokens[0].id"),
    "added id too far": ({"added_tokens": [{"id": 999, "content": "<x>"}]}, "256"),
    "added without content": ({"added_tokens": [{"id": 256, "content": ""}]}, "content"),
    "no model": ({"model": None}, "model"),
}


@pytest.mark.parametrize("name", BAD_PARTS)
def test_bad_parts_are_refused(stocha, tmp_path, name):
    parts, needle = BAD_PARTS[name]
    path = write_tokenizer(tmp_path / "t.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | parts))
    assert_one_line_error(run(stocha, "encode", path, input="a"), path, needle)


@pytest.mark.parametrize(
    "regex, needle",
    [
        ("(a", "without its )"), ("a)", "without its ("), ("[a", "ends too early"), ("a{2,1}", "bounds"),
        ("*a", "nothing that could be repeated"), (r"\p{Nope}", "general category"), (r"\bx", r"the escape \b"),
        (r"(?<name>a)", "this kind of group"), (r"(a)\1", r"the escape \1"), ("(?i:é)", "beyond ASCII"),
        ("[[:alpha:]]", "POSIX"), ("[z-a]", "no range"), ("((a{1000}){1000}){1000}", "too large"),
        ("a" * 20_000, "too long"), ("(" * 1000 + ")" * 1000, "too deep"),
    ],
)  # fmt: skip
def test_patterns_not_understood_are_refused(stocha, tmp_path, regex, needle):
    path = write_tokenizer(tmp_path / "t.json", [split(regex)])
    assert_one_line_error(run(stocha, "encode", path, input="a"), path, needle)


def test_broken_files_are_refused(stocha, tmp_path):
    path = tmp_path / "t.json"
    whole = write_tokenizer(path).read_bytes()
    for content in [b"", b"{", b"[]", b"null", b"[" * 100_000, whole[:-1], whole[: len(whole) // 2], b"\xff" + whole]:
        path.write_bytes(content)
        assert_one_line_error(run(stocha, "encode", path, input="a"), path)
    path.unlink()
    assert_one_line_error(run(stocha, "encode", path, input="a"), path)


def test_sparse_ids_cost_no_memory(stocha, tmp_path):
    path = write_tokenizer(tmp_path / "t.json", vocab={"a": 2**31 - 2, "Ġ": 5})
    assert run_ok(stocha, "encode", path, input="aa") == f"[5, {2**31 - 2}, {2**31 - 2}]\n"
    assert run_ok(stocha, "decode", path, input=f"[{2**31 - 2}]") == "a"


def test_a_folder_stands_for_its_tokenizer(stocha, tmp_path):
    write_tokenizer(tmp_path / "tokenizer.json")
    assert run_ok(stocha, "encode", tmp_path, input="a") == run_ok(
        stocha, "encode", tmp_path / "tokenizer.json", input="a"
    )


@pytest.mark.parametrize("ids", ["", "{}", "[1.5]", "[-1]", '["a"]', "[256]", f"[{2**40}]", "[1, 2"])
def test_decode_refuses_what_are_no_ids(stocha, tmp_path, ids):
    path = write_tokenizer(tmp_path / "t.json")
    assert_one_line_error(run(stocha, "decode", path, input=ids))
