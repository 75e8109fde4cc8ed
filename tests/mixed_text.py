"""Ten megabytes of text that a tokenizer may stumble over, the same on every machine."""

import functools
import pathlib
import random
import unicodedata

WORDS = """the of and in beginning God created heaven earth don't I'll she'd WE'VE they're it's O'Neil
can't naïve café Straße œuvre ﬁnd Ångström résumé 'tis rock'n'roll e.g. U.S.A. co-operate under_score
camelCase HTTPServer x86_64 foo.bar() O(n^2) a+b=c $HOME #hashtag @user http://example.org/a?b=c&d=%20
'S 'LL 'Ve 'M 'D 'ſ ’s""".split()

# First and last letters to make words of.
ALPHABETS = [
    "аяАЯ", "αωΑΩ", "את", "ءي", "अह", "কহ", "กฮ", "ကအ", "აჰ", "աֆ", "አፐ", "ぁん", "ァン", "가힣", "一龥",
    "𠀀𠂀", "ᄀᇿ", "ᠠᡂ", "ⴰⵥ", "𐤀𐤕", "𝐀𝓩", "ａｚ", "⠀⣿", "🌀🗿", "😀🙏", "①⑳", "Ⅰↈ", "०९", "٠٩", "０９",
]  # fmt: skip

SPACES = [" "] * 20 + [
    "  ", "    ", "\t", "\n", "\n\n", "\r\n", "\r\n\r\n", "\r", " \n", "\n ", " \t ", "\u00a0", "\u2003",
    "\u3000", "\u2028", "\u2029", "\u0085", "\x0b", "\x0c", "\u200b", "\ufeff", "\u1680", "",
]  # fmt: skip

EMOJI = [
    "👨‍👩‍👧‍👦", "👩🏽‍💻", "🏳️‍🌈", "🇩🇪🇫🇷", "❤️‍🔥", "1️⃣", "👍🏿", "🧑‍🚀", "\U0001fae8", "☺︎", "🏴󠁧󠁢󠁥󠁮󠁧󠁿",
]  # fmt: skip

NUMBERS = ["0", "7", "42", "123", "1234", "12345", "1000000", "3.14159", "1,234.56", "²³", "½", "1e-9", "0xFF"]

SPECIALS = """<|endoftext|> <|begin_of_text|> <|end_of_text|> <|eot_id|> <|reserved_special_token_250|>
<|im_start|> <|im_end|> <|vision_pad|> <think> </think> <tool_call> </tool_response> <repo_name> <file_sep>
<jupyter_code> <empty_output> <s> </s> <left> <right> <both>""".split()

BROKEN = [
    b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98", b"\x80\x80", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80",
    b"\xe2\x28\xa1", b"\xfe\xff",
]  # fmt: skip


@functools.cache
def mixed_text(repo: pathlib.Path, size: int, seed: int) -> list[bytes]:
    """Documents of about 64 KiB, `size` bytes in all."""
    rng = random.Random(seed)
    sources = sorted((repo / "stocha").rglob("*.cc"))
    marks = [chr(c) for c in range(0x110000) if unicodedata.combining(chr(c))]
    letters = [
        [chr(c) for ends in zip(a[::2], a[1::2]) for c in range(ord(ends[0]), ord(ends[1]) + 1)]
        for a in ALPHABETS
    ]

    def word():
        return "".join(rng.choices(rng.choice(letters), k=rng.randint(1, 9)))

    def accented():
        return "".join(rng.choice("aeionuAEO가ก") + "".join(rng.choices(marks, k=rng.randint(0, 4))) for _ in range(4))

    def special():
        token = rng.choice(SPECIALS)
        return rng.choice([token, token, token[:-1], token[1:], token.upper(), f"{token}x", token + token])

    kinds = [
        (40, lambda: rng.choice(WORDS)),
        (25, word),
        (8, lambda: rng.choice(NUMBERS)),
        (6, accented),
        (5, lambda: rng.choice(EMOJI)),
        (3, special),
        (6, lambda: "".join(rng.choices("!?.,;:-_()[]{}<>/\\|@#$%^&*+=~`'\"«»、。", k=rng.randint(1, 4)))),
        (2, lambda: rng.choice("a =-\n") * rng.randint(1, 300)),
        (2, lambda: chr(rng.choice([rng.randrange(0xD800), rng.randrange(0xE000, 0x110000)]))),
    ]
    weights, makers = zip(*kinds)
    documents = [assigned_code_points()]
    while sum(map(len, documents)) < size:
        parts = []
        if rng.random() < 0.2:
            parts.append(rng.choice(sources).read_bytes())
        for make in rng.choices(makers, weights, k=6000):
            parts.append((make() + rng.choice(SPACES)).encode())
            if rng.random() < 0.005:
                parts.append(rng.choice(BROKEN))
        documents.append(b"".join(parts))
    return documents


def assigned_code_points() -> bytes:
    """Each assigned code point in order, a space after every seventh."""
    codes = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    return " ".join("".join(map(chr, codes[i : i + 7])) for i in range(0, len(codes), 7)).encode()
