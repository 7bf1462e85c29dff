"""The `{{wr.*}}` of texts: bindings and refs are put in, and what is left over is a fault."""

import re
from collections.abc import Iterable, Mapping

from worktrain.contracts.spec import ExtensionPoint
from worktrain.engine.compile.draft import Change
from worktrain.engine.fault import Fault, Path, nearest

_BINDING = re.compile(r"\{\{\s*wr\.bindings\.([\w.-]+)\s*\}\}")
_REF = re.compile(r"\{\{\s*wr\.refs\.([\w.-]+)\s*\}\}")
_LEFT = re.compile(r"\{\{\s*(wr\.[^\s{}]{0,60})")


def bindings(
    points: Iterable[ExtensionPoint], bound: Mapping[str, str], faults: list[Fault]
) -> Change:
    """Put in what the project binds a slot to, or the slot's default."""
    slots: dict[str, str] = {}
    for point in points:
        slots.setdefault(point.slotId, bound.get(point.slotId, point.default))
    return _putting_in(_BINDING, slots, "unknown-slot", "slot", faults)


def refs(texts: Mapping[str, str], faults: list[Fault]) -> Change:
    """Put in the text of each `{{wr.refs.X}}`."""
    return _putting_in(_REF, ref_texts(texts), "unknown-ref", "ref", faults)


def ref_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """By the name behind `wr.refs.`."""
    return {name.removeprefix("wr.refs."): text.strip() for name, text in texts.items()}


def leftover(faults: list[Fault]) -> Change:
    """Change nothing: what nobody has put anything in for would be read by a model."""

    def scan(text: str, path: Path) -> str:
        for token in dict.fromkeys(found[1] for found in _LEFT.finditer(text)):
            said = f"nothing is known as {{{{{token}}}}}"
            said += nearest(token, ("wr.bindings.<slotId>", "wr.refs.<name>"))
            faults.append(Fault(path=path, rule="unknown-token", message=said))
        return text

    return scan


def _putting_in(
    token: re.Pattern[str], known: Mapping[str, str], rule: str, noun: str, faults: list[Fault]
) -> Change:
    def change(text: str, path: Path) -> str:
        def put(found: re.Match[str]) -> str:
            name = found[1]
            if name not in known:
                said = f"there is no {noun} {name!r}{nearest(name, known)}"
                faults.append(Fault(path=path, rule=rule, message=said))
                # Told once: it is no leftover on top of it.
                return name
            return known[name]

        return token.sub(put, text)

    return change
