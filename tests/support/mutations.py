"""Mutations of bytes, each with a random generator, so that a seed repeats them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

Mutation = Callable[[bytes, random.Random], bytes]


def cut(share: float) -> Mutation:
    return lambda data, rng: data[: int(len(data) * share)]


def flip_header(data: bytes, rng: random.Random) -> bytes:
    """Change a few bytes where containers and parameter sets say what follows."""
    return _flip(data, rng, 6, min(len(data), 400))


def flip_body(data: bytes, rng: random.Random) -> bytes:
    """Change one byte in a hundred anywhere."""
    return _flip(data, rng, len(data) // 100, len(data))


def flip_end(data: bytes, rng: random.Random) -> bytes:
    """Change bytes at the end, where mp4 and mkv keep their indices."""
    turned = _flip(data[::-1], rng, 12, min(len(data), 900))
    return turned[::-1]


def huge_sizes(data: bytes, rng: random.Random) -> bytes:
    """Let fields that might be sizes or counts say the largest number there is."""
    changed = bytearray(data)
    for _ in range(4):
        place = rng.randrange(0, min(len(data), 2000) - 8)
        width = rng.choice((2, 4, 8))
        changed[place : place + width] = rng.choice((b"\xff", b"\x7f")) * width
    return bytes(changed)


def lose_a_piece(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    return data[:begin] + data[begin + rng.randrange(1, len(data) // 4) :]


def repeat_a_piece(data: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(data))
    piece = data[begin : begin + len(data) // 4]
    return data[:begin] + piece * 3 + data[begin:]


def zero_a_piece(data: bytes, rng: random.Random) -> bytes:
    begin, size = rng.randrange(len(data)), len(data) // 5
    return data[:begin] + bytes(min(size, len(data) - begin)) + data[begin + size :]


def shuffle_pieces(data: bytes, rng: random.Random) -> bytes:
    size = max(len(data) // 12, 1)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    rng.shuffle(pieces)
    return b"".join(pieces)


def _flip(data: bytes, rng: random.Random, count: int, within: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[rng.randrange(within)] ^= rng.randrange(1, 256)
    return bytes(changed)


def wild_matrix(data: bytes, rng: random.Random) -> bytes:
    """Let the track be turned, mirrored, sheared and scaled as nobody would."""
    changed = bytearray(data)
    at = data.find(b"tkhd")
    if at >= 0:
        place = at + 4 + 40  # version 0: the matrix lies behind 40 bytes of times and flags
        numbers = (rng.choice((0, 1 << 16, -1 << 16, rng.getrandbits(31))) for _ in range(9))
        changed[place : place + 36] = struct.pack(">9i", *numbers)
    return bytes(changed)


MUTATIONS: dict[str, Mutation] = {
    "wild_matrix": wild_matrix,
    "cut_to_nothing": cut(0.0),
    "cut_to_a_tenth": cut(0.1),
    "cut_to_half": cut(0.5),
    "cut_at_the_end": cut(0.97),
    "flip_header": flip_header,
    "flip_body": flip_body,
    "flip_end": flip_end,
    "huge_sizes": huge_sizes,
    "lose_a_piece": lose_a_piece,
    "repeat_a_piece": repeat_a_piece,
    "zero_a_piece": zero_a_piece,
    "shuffle_pieces": shuffle_pieces,
}
