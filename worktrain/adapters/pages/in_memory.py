"""Pages without a network: texts by URL, under the same rules."""

from collections.abc import Mapping, Sequence

from worktrain.adapters.pages import rules
from worktrain.contracts.failure import AdapterError, FailureKind


class InMemoryPages:
    """`fetched` are the URLs that were asked for and allowed, in order."""

    def __init__(self, pages: Mapping[str, str] | None = None) -> None:
        self._pages = pages or {}
        self.fetched: list[str] = []

    async def fetch(self, url: str, hosts: Sequence[str]) -> str:
        rules.target(url, hosts)
        self.fetched.append(url)
        if url not in self._pages:
            raise AdapterError(
                FailureKind.NOT_FOUND, f"Fetching {rules.shown(url)}: the host answered 404."
            )
        return self._pages[url]
