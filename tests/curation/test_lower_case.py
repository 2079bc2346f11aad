"""Lower case in the bytes of UTF-8, against `str.lower` over all of Unicode."""

import sys

import numpy as np
import pytest

from genwright.curation.lower_case import lower_utf8
from genwright.curation.minhash import shingles

SIGMA = "Σ"


def lowered(text: str) -> tuple[str, list[int]]:
    """The text after it, and the places that are left to `str.lower`."""
    data = bytearray((text + "  ").encode("utf-8", "surrogatepass"))
    left = lower_utf8(np.frombuffer(data, np.uint8))
    return data.decode("utf-8", "surrogatepass")[: -len("  ")], left.tolist()


def test_each_character_becomes_what_python_makes_of_it_or_is_left_to_it():
    left = []
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        found, places = lowered("x" + character)
        if places:
            assert places == [1]
            left.append(character)
        else:
            assert found.split() == ("x" + character).lower().split()
    # few are left of those that texts are made of, and each that has a lower case of its own
    low = [character for character in left if ord(character) < 1 << 16]
    assert SIGMA in low and "İ" in low
    assert len(low) < 40
    assert all(character.lower() != character for character in low)
    assert not any(ord(character) >= 0x1F000 for character in left)


@pytest.mark.parametrize(
    "text",
    [
        "ÀÉÎÕÜ Straße ЖЁ",
        "Ελλάδα ΆΈ",
        "ẠẤ ＡＢ",
        "漢字\u3000かな",
        "a\xa0B\x85c\u2003D",
        "“Quotes” — DASH",
    ],
)
def test_texts_are_lower_cased_without_python(text):
    found, places = lowered(text)
    assert places == []
    assert found.split() == text.lower().split()


def test_a_text_that_python_lowers_does_not_change_those_beside_it():
    plain = "Ünder Über Éclair a b C d"
    other = "ΟΔΟΣ İstanbul 𐐀𐐁 K ΣΑΣ x y"
    mixed = shingles([plain, other, plain])
    alone = [shingles([text]).hashes.tolist() for text in (plain, other)]
    bounds = mixed.offsets.tolist()
    assert mixed.hashes[: bounds[1]].tolist() == alone[0]
    assert mixed.hashes[bounds[1] : bounds[2]].tolist() == alone[1]
    assert mixed.hashes[bounds[2] :].tolist() == alone[0]
    assert alone[1] == shingles([other.lower()]).hashes.tolist()
