"""Many small sums at once, in plain Python: a row of weights is one large integer, a lane of 32 bits per output.

Adding two such integers adds all their lanes, and multiplying by a small number multiplies them; a hundred features with
twenty outputs cost a hundred additions instead of two thousand. Needs no array library.
"""

import struct
from collections.abc import Mapping, Sequence

LANE = 4
OFFSET = 128
"""Weights are signed bytes; shifted by this they are never negative, so that no lane borrows from its neighbour."""
STRENGTH = 64
"""Strengths are counted in this fraction of one."""


def packed(row: bytes) -> int:
    """One row: a byte per output, each a weight plus `OFFSET`."""
    wide = bytearray(LANE * len(row))
    wide[::LANE] = row
    return int.from_bytes(wide, "little")


def sums(rows: Mapping[str, int], features: Mapping[str, float], width: int) -> Sequence[float]:
    """Per output, the sum of strength x weight over the features that have a row; in units of a weight.

    Args:
        rows: feature -> `packed` row.
        features: name -> strength in [0, 100).
        width: outputs.
    """
    total = counted = 0
    for name, strength in features.items():
        row = rows.get(name)
        if row is not None:
            times = int(strength * STRENGTH + 0.5)
            total += times * row
            counted += times
    lanes = struct.unpack(f"<{width}I", total.to_bytes(LANE * width, "little"))
    return [(lane - OFFSET * counted) / STRENGTH for lane in lanes]
