"""Change bytes at random, knowing a little of the formats."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

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


VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 3, 7, 50, 10**9, -(10**9), 10**30, 0.0, -0.0, 0.5, 1e300),
    *(5e-324, float("nan"), float("inf"), "", "gp", "spline", "lookup", "a", "\u202e", "../x"),
    *([], {}, [[]], [None], [1, 2], ["gp"], {"family": "slaf"}, {"": 0}),
]


def mutate_model(data: bytes, chance: random.Random) -> bytes:
    """Change one to three values of the JSON of a model file."""
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
        own = json.loads(header["__metadata__"]["kanx"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return data
    for _ in range(chance.randint(1, 3)):
        _change_value(chance.choice([header, own, own, own]), chance)
    if not isinstance(header.get("__metadata__"), dict):
        return data
    header["__metadata__"]["kanx"] = json.dumps(own)
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data[8 + length :]


def _change_value(place: Any, chance: random.Random) -> None:
    """Delete, repeat or replace one value of a tree, mostly a leaf."""
    while place and isinstance(place, dict | list):
        keys = [*place] if isinstance(place, dict) else range(len(place))
        key = chance.choice(keys)
        inner = isinstance(place[key], dict | list) and place[key]
        if inner and chance.random() < 0.85:
            place = place[key]
            continue
        kind = chance.randrange(4)
        if kind == 0:
            del place[key]
        elif kind == 1 and isinstance(place, list):
            place.append(place[key])
        else:
            place[key] = copy.deepcopy(chance.choice(VALUES))
        return


def mutate_for(name: str, data: bytes, other: bytes, chance: random.Random, most: int) -> bytes:
    """Change an input of a target: by its format half of the time where it has one."""
    if name == "load_model" and chance.random() < 0.7:
        return mutate_model(data, chance)[:most]
    return mutate(data, other, chance, most)
