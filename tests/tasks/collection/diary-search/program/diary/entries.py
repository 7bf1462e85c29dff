"""Entries of a diary."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Entry:
    day: date
    text: str


def by_day(entries: list[Entry]) -> list[Entry]:
    """Oldest first."""
    return sorted(entries, key=lambda entry: entry.day)
