"""Cuts beginnings out of books, for models to go on from: JSON lines that `stocha eval --qa` reads.

    .venv/bin/python tools/book_prompts.py books-val.jsonl.zst --num-prompts 100 --output runs/prompts.jsonl

Each comes from a paragraph of its own, chosen by --seed: the context is its first words, about --characters
long, the answer what follows. The `zstd` program opens the books.
"""

import argparse
import json
import pathlib
import random

from support import books, fail


def cut(paragraph, characters):
    """(context, answer), between two words."""
    end = paragraph.find(" ", characters)
    return paragraph[:end], paragraph[end + 1:]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("books", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--num-prompts", type=int, default=100)
    parser.add_argument("--characters", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    long_enough = [paragraph for book in books(options.books) for paragraph in book["text"].split("\n")
                   if paragraph[:1].isalpha() and len(paragraph) >= 3 * options.characters]
    if len(long_enough) < options.num_prompts:
        fail(f"{options.books}: {len(long_enough)} paragraphs are long enough, "
             f"expected {options.num_prompts}: lower --num-prompts or --characters")
    chosen = random.Random(options.seed).sample(long_enough, options.num_prompts)
    lines = [dict(zip(("context", "answer"), cut(paragraph, options.characters))) | {"aliases": []}
             for paragraph in chosen]
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines),
                              encoding="utf-8")


if __name__ == "__main__":
    main()
