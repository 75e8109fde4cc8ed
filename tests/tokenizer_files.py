"""Writing small tokenizers, and asking stocha and the `tokenizers` package the same."""

import json
import subprocess

import numpy as np
import pytest

from mixed_text import mixed_text


def run_bytes(stocha, *args, input: bytes, timeout=60) -> bytes:
    """run_ok() without the translation of line ends."""
    result = subprocess.run([stocha, *args], input=input, capture_output=True, timeout=timeout)
    assert result.returncode == 0, result.stderr
    return result.stdout


def stocha_encode(stocha, tokenizer, text: bytes, *flags, timeout=60) -> np.ndarray:
    ids = run_bytes(stocha, "encode", tokenizer, *flags, input=text, timeout=timeout)
    return np.array(json.loads(ids), dtype=np.int64)


def stocha_decode(stocha, tokenizer, ids, *flags) -> str:
    text = json.dumps([int(token_id) for token_id in ids]).encode()
    return run_bytes(stocha, "decode", tokenizer, *flags, input=text).decode()


def assert_same_ids(got, expected, oracle):
    """Equal, or a message that shows the first place where they are not."""
    expected = np.asarray(expected, dtype=np.int64)
    if np.array_equal(got, expected):
        return
    length = min(len(got), len(expected))
    differs = np.flatnonzero(got[:length] != expected[:length])
    at = int(differs[0]) if len(differs) else length
    window = slice(max(at - 5, 0), at + 10)
    pytest.fail(
        f"{len(got)} ids, expected {len(expected)}; the first difference is at {at}:\n"
        f"     got {got[window].tolist()} {oracle.decode(got[window].tolist(), False)!a}\n"
        f"expected {expected[window].tolist()} {oracle.decode(expected[window].tolist(), False)!a}"
    )


def write_tokenizer(path, pre_tokenizers=(), normalizer=None, **model):
    """A tokenizer of single bytes that puts a space before each piece, so that ids show the pieces."""
    alphabet = {chr(c): c for c in [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]}
    others = [b for b in range(256) if b not in alphabet.values()]
    alphabet |= {chr(0x100 + i): byte for i, byte in enumerate(others)}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": normalizer,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [*pre_tokenizers, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": alphabet, "merges": [], **model},
    }
    path.write_text(json.dumps(content))
    return path


def split(regex, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": behavior, "invert": invert}


def compare_mixed_text(stocha, repo, path, oracle, size, seed):
    """Encodes documents with a special token between, which separates them, and decodes them."""
    separator_id, separator = next(
        (i, token.content) for i, token in oracle.get_added_tokens_decoder().items() if token.special
    )
    documents = mixed_text(repo, size, seed)
    expected = []
    for encoding in oracle.encode_batch_fast(
        [document.decode("utf-8", "replace") for document in documents], add_special_tokens=False
    ):
        expected += [*encoding.ids, separator_id]
    text = b"".join(document + separator.encode() for document in documents)
    assert len(text) >= size
    got = stocha_encode(stocha, path, text, "--no-special")
    assert_same_ids(got, expected, oracle)
    tail = expected[-200_000:]
    assert stocha_decode(stocha, path, tail) == oracle.decode(tail, skip_special_tokens=False)
