"""What many measurements say."""

from collections.abc import Sequence


def mean(numbers: Sequence[float]) -> float:
    """Raises ValueError for no numbers."""
    if not numbers:
        raise ValueError("there are no measurements")
    return round(sum(numbers) / len(numbers), 1)
