#!/usr/bin/env python3
"""Writes stocha/model/unicode_table.inc: what the tokenizer must know of Unicode, and no more.

General categories are those of Unicode 16, the version that the regular expressions of the
`tokenizers` package know (Oniguruma 6.9.10). Its NFC is older: it neither reorders, composes nor
decomposes what came after Unicode 9. Which characters those are is found by asking it.

    python3 -m venv /tmp/unicode && /tmp/unicode/bin/pip install unicodedata2==16.0.0 tokenizers==0.23.3
    /tmp/unicode/bin/python tools/generate_unicode_table.py
"""

import pathlib

import unicodedata2
from tokenizers import normalizers

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "stocha/model/unicode_table.inc"
CODE_POINTS = range(0x110000)

# The order of enum class Category in unicode.h.
CATEGORIES = (
    "Cn Cc Cf Co Cs Ll Lm Lo Lt Lu Mc Me Mn Nd Nl No Pc Pd Pe Pf Pi Po Ps Sc Sk Sm So Zl Zp Zs"
).split()

oracle_nfc = normalizers.NFC().normalize_str


def starts(value_of, shift):
    """(first << shift | value) of every run of code points with one value."""
    packed, last = [], None
    for code in CODE_POINTS:
        value = value_of(code)
        if value != last:
            packed.append(f"0x{code << shift | value:X}")
            last = value
    return packed


def combining_class(code):
    """The canonical combining class, 0 where the oracle does not reorder."""
    mark = unicodedata2.combining(chr(code))
    if mark == 0:
        return 0
    other = "\u0334" if mark > 1 else "\u0315"  # classes 1 and 232
    low, high = (other, chr(code)) if mark > 1 else (chr(code), other)
    base = "\u4e00"  # composes with nothing
    return mark if oracle_nfc(base + high + low) == base + low + high else 0


def decompositions():
    """(code, first, second or 0) of canonical decompositions, and the codes never composed again."""
    rows, exclusions = [], []
    for code in CODE_POINTS:
        mapping = unicodedata2.decomposition(chr(code))
        if not mapping or mapping.startswith("<"):
            continue
        nfd, nfc = (unicodedata2.normalize(form, chr(code)) for form in ("NFD", "NFC"))
        if oracle_nfc(nfd) != nfc or oracle_nfc(chr(code)) != nfc:
            continue
        parts = [int(part, 16) for part in mapping.split()] + [0]
        rows.append(f"{{0x{code:X}, 0x{parts[0]:X}, 0x{parts[1]:X}}}")
        if nfc != chr(code):
            exclusions.append(f"0x{code:X}")
    return rows, exclusions


def array(comment, declaration, items):
    lines, line = [], ""
    for item in items:
        if len(line) + len(item) + 3 > 100:
            lines.append(line)
            line = ""
        line += f" {item}," if line else f"    {item},"
    return "\n".join([f"// {comment}", f"{declaration} = {{", *lines, line, "};", ""])


def main():
    assert unicodedata2.unidata_version == "16.0.0", unicodedata2.unidata_version
    category_index = {name: index for index, name in enumerate(CATEGORIES)}
    rows, exclusions = decompositions()
    text = "\n".join(
        [
            "// Written by tools/generate_unicode_table.py, which says where the data comes from.",
            "// clang-format off",
            "",
            array(
                "General categories of Unicode 16: (first code point << 5) | Category, up to the next.",
                "constexpr uint32_t kCategoryStarts[]",
                starts(lambda code: category_index[unicodedata2.category(chr(code))], 5),
            ),
            array(
                "Canonical combining classes: (first code point << 8) | class, up to the next.",
                "constexpr uint32_t kCombiningClassStarts[]",
                starts(combining_class, 8),
            ),
            array(
                "Canonical decompositions, one level, without Hangul; the second is 0 for singletons.",
                "constexpr Decomposition kDecompositions[]",
                rows,
            ),
            array(
                "Code points that decompose and are never composed again.",
                "constexpr char32_t kCompositionExclusions[]",
                exclusions,
            ),
        ]
    )
    OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
