"""One thing that is wrong with a spec that can be read, and where it was written."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Literal

from worktrain.contracts.base import Value

Path = tuple[str | int, ...]
"""A place in the authored document: keys and positions, from the outside in."""

SHOWN_MAX = 12


class Fault(Value):
    path: Path
    """For example ("steps", 3, "loop", "items")."""
    rule: str
    """Its name in kebab-case."""
    message: str
    """A sentence that says what to do, with the nearest valid thing."""
    level: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{shown(self.path)}: {self.message}" if self.path else self.message


def shown(path: Path) -> str:
    """A place as people write it: steps[3].loop.items."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def nearest(wrong: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is none: the one that was meant, or what there is."""
    names = tuple(dict.fromkeys(known))
    near = get_close_matches(wrong[:100], names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    if not names:
        return "; there are none"
    more = f" and {len(names) - SHOWN_MAX} more" if len(names) > SHOWN_MAX else ""
    return f"; there {'is' if len(names) == 1 else 'are'} {', '.join(names[:SHOWN_MAX])}{more}"
