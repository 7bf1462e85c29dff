"""Finding people by the beginning of a name."""

from collections.abc import Iterable


def found(people: Iterable[str], begins: str) -> list[str]:
    """Everybody whose name begins so, whether in capitals or not, by name."""
    wanted = _plain(begins)
    return sorted(name for name in people if _plain(name).startswith(wanted))


def _plain(text: str) -> str:
    return text.strip().lower()
