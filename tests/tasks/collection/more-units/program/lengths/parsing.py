"""Lengths as people type them."""


def parsed(text: str) -> tuple[float, str]:
    """The number and the unit."""
    number, unit = text.split()
    return float(number), unit
