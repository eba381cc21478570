"""SM2 with SM3 in plain Python, written from GB/T 32918 and GB/T 32905: independent of what the gateway uses."""

from __future__ import annotations

P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
A = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFC
B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
DEFAULT_ID = b"1234567812345678"
Point = tuple[int, int] | None
_WORD = 0xFFFFFFFF


def _left(word: int, by: int) -> int:
    by %= 32
    return ((word << by) | (word >> (32 - by))) & _WORD if by else word


def sm3(message: bytes) -> bytes:
    """Hash, GB/T 32905."""
    state = [
        0x7380166F, 0x4914B2B9, 0x172442D7, 0xDA8A0600, 0xA96F30BC, 0x163138AA, 0xE38DEE4D, 0xB0FB0E4E,
    ]  # fmt: skip
    padded = message + b"\x80" + bytes((55 - len(message)) % 64) + (8 * len(message)).to_bytes(8, "big")
    for at in range(0, len(padded), 64):
        state = [old ^ new for old, new in zip(state, _compress(state, padded[at : at + 64]), strict=True)]
    return b"".join(word.to_bytes(4, "big") for word in state)


def _compress(state: list[int], block: bytes) -> list[int]:
    w = [int.from_bytes(block[at : at + 4], "big") for at in range(0, 64, 4)]
    for j in range(16, 68):
        x = w[j - 16] ^ w[j - 9] ^ _left(w[j - 3], 15)
        w.append(x ^ _left(x, 15) ^ _left(x, 23) ^ _left(w[j - 13], 7) ^ w[j - 6])
    a, b, c, d, e, f, g, h = state
    for j in range(64):
        t = 0x79CC4519 if j < 16 else 0x7A879D8A
        ss1 = _left((_left(a, 12) + e + _left(t, j)) & _WORD, 7)
        ss2 = ss1 ^ _left(a, 12)
        ff = a ^ b ^ c if j < 16 else (a & b) | (a & c) | (b & c)
        gg = e ^ f ^ g if j < 16 else (e & f) | (~e & g & _WORD)
        tt1 = (ff + d + ss2 + (w[j] ^ w[j + 4])) & _WORD
        tt2 = (gg + h + ss1 + w[j]) & _WORD
        a, b, c, d = tt1, a, _left(b, 9), c
        e, f, g, h = tt2 ^ _left(tt2, 9) ^ _left(tt2, 17), e, _left(f, 19), g
    return [a, b, c, d, e, f, g, h]


def add(one: Point, other: Point) -> Point:
    """Add two points of the curve."""
    if one is None or other is None:
        return one or other
    (x1, y1), (x2, y2) = one, other
    if x1 == x2 and (y1 + y2) % P == 0:
        return None
    slope = (3 * x1 * x1 + A) * pow(2 * y1, -1, P) if one == other else (y2 - y1) * pow(x2 - x1, -1, P)
    x = (slope * slope - x1 - x2) % P
    return x, (slope * (x1 - x) - y1) % P


def multiply(scalar: int, point: Point) -> Point:
    """Multiply a point by a number."""
    total: Point = None
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def _coordinates(point: Point) -> tuple[int, int]:
    assert point is not None
    return point


def public_of(private: int) -> tuple[int, int]:
    """Give the public point of a private number."""
    return _coordinates(multiply(private, G))


def _e(public: tuple[int, int], message: bytes, identifier: bytes) -> int:
    parts = b"".join(number.to_bytes(32, "big") for number in (A, B, *G, *public))
    z = sm3((8 * len(identifier)).to_bytes(2, "big") + identifier + parts)
    return int.from_bytes(sm3(z + message), "big")


def sign(private: int, message: bytes, k: int, identifier: bytes = DEFAULT_ID) -> tuple[int, int]:
    """Sign with a given secret number `k` (GB/T 32918.2, 6.1)."""
    e = _e(public_of(private), message, identifier)
    r = (e + _coordinates(multiply(k, G))[0]) % N
    return r, pow(1 + private, -1, N) * (k - r * private) % N


def verify(public: tuple[int, int], message: bytes, r: int, s: int, identifier: bytes = DEFAULT_ID) -> bool:
    """Verify (GB/T 32918.2, 7.1)."""
    t = (r + s) % N
    if not (1 <= r < N and 1 <= s < N and t):
        return False
    point = add(multiply(s, G), multiply(t, public))
    return point is not None and (_e(public, message, identifier) + point[0]) % N == r


def der(r: int, s: int) -> bytes:
    """Write a signature as GM/T 0009 has it."""
    body = b""
    for number in (r, s):
        value = number.to_bytes(number.bit_length() // 8 + 1, "big")
        body += bytes([2, len(value)]) + value
    return bytes([0x30, len(body)]) + body
