"""Trains a byte-level BPE tokenizer on text files with the `tokenizers` library.

    .venv/bin/python tools/train_tokenizer.py --vocab-size 4096 --output tokenizer.json TEXT...

The pre-tokenizer is GPT-2's; <|endoftext|> is the one special token and has id 0.
"""

import argparse
import os
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers


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
    tokenizer.train(paths, trainer)
    return tokenizer


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--output", required=True)
    parser.add_argument("texts", nargs="+")
    arguments = parser.parse_args()
    for path in arguments.texts:
        if not os.path.isfile(path):
            sys.exit(f"train_tokenizer: error: {path}: no such file")
    temporary = f"{arguments.output}.tmp-{os.getpid()}"
    train(arguments.texts, arguments.vocab_size).save(temporary)
    os.replace(temporary, arguments.output)


if __name__ == "__main__":
    main()
