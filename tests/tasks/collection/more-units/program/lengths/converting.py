"""From one unit to another."""

from lengths.parsing import parsed
from lengths.table import METRES


def converted(text: str, unit: str) -> float:
    """A length that was typed, in another unit."""
    number, given = parsed(text)
    return round(number * METRES[given] / METRES[unit], 3)
