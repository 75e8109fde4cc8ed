"""Trains a byte-level BPE tokenizer on text files with the `tokenizers` library.

    .venv/bin/python tools/train_tokenizer.py --vocab-size 4096 --output tokenizer.json TEXT...

Texts are what `stocha tokenize` reads: .txt, or .jsonl with a "text" in each line; either may end in
.zst (the `zstd` program opens those). The pre-tokenizer is GPT-2's; <|endoftext|> is the one special
token and has id 0.
"""

import argparse
import contextlib
import json
import os
import subprocess

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from support import fail


@contextlib.contextmanager
def open_text(path):
    """The file's lines as text, unpacked where it is compressed."""
    if not path.endswith(".zst"):
        with open(path, encoding="utf-8", errors="replace", newline="\n") as file:
            yield file
        return
    command = ["zstd", "--decompress", "--stdout", path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, encoding="utf-8", errors="replace") as zstd:
        yield zstd.stdout
    if zstd.returncode != 0:
        fail(f"{path}: zstd cannot read it")


def lines(paths):
    """Every line of every document: the trainer counts words, which do not cross lines."""
    for path in paths:
        with open_text(path) as file:
            if path.removesuffix(".zst").endswith(".jsonl"):
                for record in file:
                    yield from json.loads(record)["text"].splitlines(keepends=True)
            else:
                yield from file


def train(paths, vocab_size):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(lines(paths), trainer)
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--output", required=True)
    parser.add_argument("texts", nargs="+")
    arguments = parser.parse_args()
    for path in arguments.texts:
        if not os.path.isfile(path):
            fail(f"{path}: no such file")
    folder = os.path.dirname(arguments.output) or "."
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:  # now, not after minutes of training
        fail(f"--output {arguments.output}: {error.strerror}; name a file whose folder can be made")
    temporary = f"{arguments.output}.tmp-{os.getpid()}"
    train(arguments.texts, arguments.vocab_size).save(temporary)
    os.replace(temporary, arguments.output)


if __name__ == "__main__":
    main()
