"""What a session is told of other sessions' work, as far as there is room for it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from worktrain.contracts.plan import Words
from worktrain.contracts.session import SessionClosed
from worktrain.contracts.turn import Reported
from worktrain.engine.prompt.fill import fill
from worktrain.engine.prompt.visible import cleaned, visible

KNOWN_MAX = 8_000
"""Characters of the variables that a session is given at its start."""
REPORT_MAX = 16_000
"""Characters of what one child session handed over."""
REPORTS_MAX = 60_000
"""The same, of all that are told at once."""
_FRAME = 250
"""Characters of the words around one report, without its name and its session's."""


def reported(
    children: Sequence[Reported], words: Words, reports: Mapping[str, SessionClosed]
) -> str:
    parts = [_handed_over(child, reports.get(child.session)) for child in children]
    frames = [len(child.name) + 2 * len(child.session) + _FRAME for child in children]
    asked = [
        frame + sum(len(text) + 1 for texts in one.values() for text in texts)
        for frame, one in zip(frames, parts, strict=True)
    ]
    shares = _shared(asked, REPORT_MAX, REPORTS_MAX)
    return fill(
        words.delegated,
        children=[
            {
                "name": child.name,
                "session": child.session,
                "ending": child.ending.replace("_", " "),
                "empty": not (one["artifacts"] or one["given"] or one["notes"]),
                **_cut(one, share - frame),
            }
            for child, one, share, frame in zip(children, parts, shares, frames, strict=True)
        ],
    )


def known(variables: Mapping[str, Any]) -> str:
    """Variables as JSON, cleaned; sorted, so that equal ones are the same bytes.

    Where they are too long, the long ones are cut: each keeps its name and its beginning.
    """
    entries = [
        f" {_json(name)}: {_json(value)}"
        for name, value in sorted(_cleaned_within(variables).items())
    ]
    around = len("{\n\n}") + len(",\n") * len(entries)
    shares = _shared([len(entry) for entry in entries], KNOWN_MAX, KNOWN_MAX - around)
    shown = [
        entry if len(entry) <= share else _shortened(entry, share)
        for entry, share in zip(entries, shares, strict=True)
    ]
    return "\n".join(("{", ",\n".join(shown), "}"))[:KNOWN_MAX]


def _handed_over(child: Reported, closed: SessionClosed | None) -> dict[str, list[str]]:
    """The texts of a child, what matters most first, every line marked as its own."""
    artifacts = closed.artifacts if closed else ()
    given = closed.given if closed else {}
    notes = closed.notes if closed else ()
    return {
        "why": [_quoted(child.why)] if child.why.strip() else [],
        "artifacts": [_quoted(one.model_dump_json(exclude_none=True)) for one in artifacts],
        "given": [_quoted(_json(given))] if given else [],
        "notes": [_quoted(note) for note in reversed(notes) if note.strip()],
    }


def _quoted(text: str) -> str:
    # Every character that ends a line for somebody must begin one of ours.
    return "\n".join(f"> {visible(line)}" for line in text.strip().splitlines())


def _cut(parts: Mapping[str, Sequence[str]], room: int) -> dict[str, object]:
    """The texts as far as there is room for them, and how many characters that leaves out."""
    left_out = 0
    kept: dict[str, list[str]] = {}
    for name, texts in parts.items():
        kept[name] = []
        for text in texts:
            shown = text[: max(0, room)]
            room -= len(shown) + 1
            left_out += len(text) - len(shown)
            if shown:
                kept[name].append(shown)
    return {**kept, "left_out": left_out}


def _shared(asked: Sequence[int], each_max: int, all_max: int) -> list[int]:
    """The characters that each text gets: what the short ones leave goes to the long ones."""
    left = max(0, all_max)
    shares = [0] * len(asked)
    shortest_first = sorted(range(len(asked)), key=lambda index: asked[index])
    for done, index in enumerate(shortest_first):
        shares[index] = min(asked[index], each_max, left // (len(asked) - done))
        left -= shares[index]
    return shares


def _shortened(text: str, length: int) -> str:
    said = f"… ({len(text) - length} or more characters left out)"
    return text[: max(0, length - len(said))] + said


def _cleaned_within(value: Any) -> Any:
    """Each text by itself: a comment that one leaves open must not swallow the next."""
    if isinstance(value, str):
        return cleaned(value)
    if isinstance(value, Mapping):
        return {cleaned(str(name)): _cleaned_within(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned_within(inner) for inner in value]
    return value


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)
