"""Measurements, one to a line."""

from collections.abc import Iterable


def measurements(lines: Iterable[str]) -> list[float]:
    """The numbers of a file."""
    return [float(line) for line in lines if line.strip()]
