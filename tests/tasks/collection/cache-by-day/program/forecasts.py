"""Forecasts that are fetched once."""

from collections.abc import Callable, Hashable


class Forecasts:
    """Remembers what was fetched; `fetch` is slow, and costs something each time."""

    def __init__(self, fetch: Callable[[str, int], int]) -> None:
        self._fetch = fetch
        self._known: dict[Hashable, int] = {}

    def degrees(self, town: str, day: int) -> int:
        """The temperature of a town, so many days from now."""
        key = town
        if key not in self._known:
            self._known[key] = self._fetch(town, day)
        return self._known[key]
