"""Values that parsers trip over."""

from random import Random

INTEGERS = (
    0, 1, -1, 2, 7, 8, 16, 31, 127, 128, 255, 256, 1023, 32767, 32768, 65535, 65536, 2**24,
    2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, -(2**15), -(2**31),
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e-45, 1e30, -1e30, 3.4e38, float("nan"), float("inf"),
    float("-inf"), 348.0, 352.5, 1e9,
)  # fmt: skip
TEXTS = (
    "", " ", "0", "-1", "1e400", "nan", "inf", "0x10", "1 1", "1\\1", "99999999999999999999", "1.5",
    "True", "None", "%s%s%n", "%03d", "%999999d", "../..", "/etc/passwd", "\0", "\xff", "ä", "\r\n",
    "A" * 300,
)  # fmt: skip


def integer(rng: Random) -> int:
    """A number at the edge of some type, or near a power of two."""
    if rng.random() < 0.6:
        return rng.choice(INTEGERS)
    return rng.choice((-1, 1)) * (2 ** rng.randrange(34) + rng.choice((-1, 0, 1)))


def fitted(value: int, size: int, order: str = "little") -> bytes:
    """The low bytes of a number, whatever its sign and size."""
    return (value % 256**size).to_bytes(size, order)
