"""Why the sessions of a pipeline went the way they went: their decisions, printed and drawn."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from worktrain.cli import screen
from worktrain.client import SessionTrace
from worktrain.contracts.base import Value
from worktrain.contracts.record import LogLine
from worktrain.contracts.trace import Trace

KIND_WIDTH = 13
SENTENCE_MAX = 600
UNSTORED = "pending".ljust(8)
"""Stands for the time of a decision that is stored with the next turn."""


def printed(sessions: Sequence[SessionTrace]) -> None:
    """Each session: what it was told at its start, then its decisions, one a line."""
    for one in _titled(sessions):
        screen.say(_injected(one))
        for at_s, entry in one.entries:
            sentence = screen.line(entry.text, SENTENCE_MAX)
            at = UNSTORED if at_s is None else _time(at_s)
            screen.say(f"{at} {entry.kind.value.ljust(KIND_WIDTH)} {_where(entry)}{sentence}")
        if not one.entries:
            screen.say("no decision of it is stored")


def drawn(sessions: Sequence[SessionTrace]) -> None:
    """Each session: which steps ran, which were skipped, and why."""
    for one in _titled(sessions):
        graph = _graph(one)
        if graph is None:
            screen.say(
                "its plan is not stored: it could not be opened, or an earlier version opened it"
            )
        else:
            screen.say(graph.rstrip("\n"))


def as_values(sessions: Sequence[SessionTrace]) -> list[dict[str, Any]]:
    """All decisions in one list. The first one of a session says what it was told at its start,
    if that is stored; `at_s` is null for a decision that is not stored yet."""
    told: list[dict[str, Any]] = []
    for one in sessions:
        if one.injected is not None:
            told.append(
                {
                    "session": one.session,
                    "at_s": one.opened_s,
                    "n": 0,
                    "kind": "injected",
                    "step": "",
                    "text": _injected(one),
                    "iteration": 0,
                    "injected": one.injected,
                }
            )
        told += (
            {"session": one.session, "at_s": at_s, **entry.model_dump(mode="json")}
            for at_s, entry in one.entries
        )
    return told


def as_graphs(sessions: Sequence[SessionTrace]) -> list[dict[str, Any]]:
    """A picture for each session; null where its plan is not stored."""
    return [{"session": one.session, "graph": _graph(one)} for one in sessions]


class DecisionLine(Value):
    """A decision as an entry of the log, with the same keys as the others."""

    at_s: float
    session: str
    kind: Literal["trace"] = "trace"
    text: str
    turn: int = 0
    usage: None = None
    cost_microdollars: int = 0
    ok: bool = True


Line = LogLine | DecisionLine
Decided = tuple[str, float, Trace]
"""Session, time of storing, entry: as the client reads them."""


class Decisions:
    """Puts each decision once before the log's entry of the turn that followed it."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, float, int]] = set()
        self._waiting: dict[tuple[str, float], list[Line]] = {}

    def among(self, lines: Sequence[LogLine], decided: Sequence[Decided]) -> list[Line]:
        """The lines, with what was decided before them. `decided` is read after them, so what
        belongs to a later line waits for it."""
        for session, at_s, entry in decided:
            if (session, at_s, entry.n) not in self._seen:
                self._seen.add((session, at_s, entry.n))
                text = f"{entry.kind.value} {_where(entry)}{entry.text}"
                made = DecisionLine(at_s=at_s, session=session, text=text)
                # Both were written in one transaction, at one time.
                self._waiting.setdefault((session, at_s), []).append(made)
        woven: list[Line] = []
        for line in lines:
            woven += (*self._waiting.pop((line.session, line.at_s), ()), line)
        return woven


def _titled(sessions: Sequence[SessionTrace]) -> Iterator[SessionTrace]:
    if not sessions:
        screen.say("no session of it has begun yet")
    for number, one in enumerate(sessions):
        began = "" if one.opened_s is None else f", opened {screen.clock(one.opened_s)}"
        gap = "\n" if number else ""
        screen.say(f"{gap}== {one.session}{began}")
        yield one


def _injected(one: SessionTrace) -> str:
    if one.injected is None:
        return "what it was told at its start is not stored"
    if not one.injected:
        return "told at its start: no parts are listed"
    parts = ", ".join(f"{title} {size:,}" for title, size in one.injected.items())
    return f"told at its start, in characters: {parts}"


def _where(entry: Trace) -> str:
    if not entry.step:
        return ""
    return f"{entry.step} (pass {entry.iteration}): " if entry.iteration else f"{entry.step}: "


def _graph(one: SessionTrace) -> str | None:
    if one.plan is None:
        return None
    # `status` and `logs` import this module as well, and draw nothing.
    from worktrain.engine.picture import ran

    return ran(one.plan, tuple(entry for _, entry in one.entries))


def _time(at_s: float) -> str:
    return datetime.fromtimestamp(at_s).strftime("%H:%M:%S")
