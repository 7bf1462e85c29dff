"""Pages of the web that a task names, for what a session is told."""

from collections.abc import Sequence
from typing import Protocol


class Pages(Protocol):
    async def fetch(self, url: str, hosts: Sequence[str]) -> str:
        """What a page says, as text; HTML without its tags and what a browser would not show.

        Only over https, and only from one of `hosts` (`name`, or `name:port`), to which also
        every redirect has to lead back. Raises `AdapterError`: invalid (not a page that may be
        fetched, or no text of at most 1 MB), unreachable, stalled (after 10 seconds), auth and
        not_found (as the host answered).
        """
        ...
