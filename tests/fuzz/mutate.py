"""Change bytes at random, knowing a little of the formats."""

from __future__ import annotations

import random
import re

TOKENS = [
    *(b"nan", b"inf", b"-inf", b"1e999", b"1e300", b"-0.0", b"5e-324", b"null", b"true", b"[]"),
    *(b"{}", b"-1", b"0", b"99999999999", b"1.5", b'""', b'"', b"\\", b"\x00", b"\xff", b"\n"),
    *("\u202e\U0001f600".encode(), b",", b";", b"\t", b"[" * 200, b"9" * 400, b"=1+1", b"<b>"),
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?")


def mutate(data: bytes, other: bytes, chance: random.Random, most: int) -> bytes:
    """Return the bytes with one to six changes; `other` is a second input to take pieces from."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randint(0, len(result))
        end = min(len(result), place + chance.choice([1, 1, 2, 8, 64, 512]))
        kind = chance.randrange(7)
        if kind == 0 and place < len(result):
            result[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del result[place:end]
        elif kind == 2:
            result[place:place] = chance.choice(TOKENS)
        elif kind == 3:
            result[place:end] = chance.choice(TOKENS)
        elif kind == 4:
            start = chance.randint(0, len(other))
            result[place:place] = other[start : start + chance.choice([4, 32, 256])]
        elif kind == 5:
            result[place:place] = result[place:end]
        else:
            _replace_number(result, chance)
    return bytes(result[:most])


def _replace_number(data: bytearray, chance: random.Random) -> None:
    found = list(_NUMBER.finditer(data[:20_000]))
    if found:
        match = chance.choice(found)
        data[match.start() : match.end()] = chance.choice(TOKENS)
