"""Writes docs/data.md: every book that the experiments train and validate on, and the files' hashes.

    .venv/bin/python tools/describe_books.py --train books-train.jsonl.zst --validation books-val.jsonl.zst \\
      --shards runs/pilot/text --tokenizer runs/books/tokenizer.json --output docs/data.md

Each line of the files is a book: {"text", "title", "author", "year"}. The `zstd` program opens them.
"""

import argparse
import hashlib
import json
import os
import pathlib

from support import books

HEAD = """# The text of the experiments

Written by `tools/describe_books.py` from the files themselves; the books are in the public domain
(published by 1930) and are no part of this repository.

**Split.** Whole books are held out: the {validation} books under Validation are never trained on. {shared_titles} of
their titles are titles of training books; {shared_authors} of their {validation_authors} authors wrote training books as well. Of {samples}
passages of {passage} characters, {per_book} from evenly spread places of each held-out book, {found} stand in a training
book{where}.

**Tokenizer.** Byte-level BPE with {vocabulary} tokens, trained on the training books alone:
`tools/train_tokenizer.py --vocab-size {vocabulary} --output runs/books/tokenizer.json books-train.jsonl.zst`

| file | bytes | SHA-256 |
|---|---|---|
"""


PASSAGE, PER_BOOK = 80, 6  # characters; passages


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def one_line(text):
    return " ".join(text.split())


def passages(book):
    text = one_line(book["text"])
    starts = (len(text) * i // (PER_BOOK + 1) for i in range(1, PER_BOOK + 1))
    return [text[start:start + PASSAGE] for start in starts]


def overlaps(train, validation):
    """(held-out title, training title) of every passage that both have."""
    samples = [(book["title"], passage) for book in validation for passage in passages(book)]
    found = []
    for book in train:
        text = one_line(book["text"])
        found += [(title, book["title"]) for title, passage in samples if passage in text]
    return found


def cell(text):
    return " ".join(str(text).split()).replace("|", "\\|")


def table(title, rows):
    total = sum(len(book["text"].encode()) for book in rows)
    lines = [f"\n## {title}: {len(rows)} books, {total:,} bytes of text\n",
             "| title | author | year | bytes |", "|---|---|---|---|"]
    for book in sorted(rows, key=lambda book: (str(book["author"]), str(book["title"]))):
        lines.append(f"| {cell(book['title'])} | {cell(book['author'])} | {cell(book['year'])} "
                     f"| {len(book['text'].encode()):,} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for flag in ("--train", "--validation", "--shards", "--tokenizer", "--output"):
        parser.add_argument(flag, required=True, type=pathlib.Path)
    arguments = parser.parse_args()
    train, validation = list(books(arguments.train)), list(books(arguments.validation))

    def shared(key):
        return {book[key] for book in train} & {book[key] for book in validation}

    vocabulary = len(json.loads(arguments.tokenizer.read_text())["model"]["vocab"])
    found = overlaps(train, validation)
    where = "".join(f"; {held_out} in {book}" for held_out, book in sorted(set(found)))
    text = HEAD.format(samples=PER_BOOK * len(validation), per_book=PER_BOOK, passage=PASSAGE,
                       found=len(found), where=where, validation=len(validation),
                       shared_titles=len(shared("title")),
                       shared_authors=len(shared("author")),
                       validation_authors=len({book["author"] for book in validation}),
                       vocabulary=vocabulary)
    files = [arguments.train, arguments.validation, arguments.tokenizer,
             arguments.shards / "train.tokens", arguments.shards / "validation.tokens"]
    for path in files:
        text += f"| {path.name} | {path.stat().st_size:,} | `{sha256(path)}` |\n"
    text += table("Validation", validation) + table("Training", train)
    temporary = arguments.output.with_name(f"{arguments.output.name}.tmp-{os.getpid()}")
    temporary.write_text(text)
    os.replace(temporary, arguments.output)


if __name__ == "__main__":
    main()
