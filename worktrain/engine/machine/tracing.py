"""Writes down why a session goes the way it goes."""

from worktrain.contracts.session import SessionState
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.engine.converse import shortened

TEXT_MAX = 512
"""Characters of an entry: WorkRail's bound."""
WAITING_MAX = 500
"""Entries between two turns: a loop in which all is skipped must not fill a history."""


def noted(state: SessionState, kind: TraceKind, text: str, step: str = "") -> SessionState:
    """The state with one more entry, about the present step when none is named."""
    number = state.traced + 1
    if len(state.trace) >= WAITING_MAX:
        return changed(state, traced=number)
    entry = Trace(
        n=number,
        kind=kind,
        step=step or _step(state),
        text=shortened(text, TEXT_MAX),
        iteration=state.frame.iteration if state.frame else 0,
    )
    return changed(state, trace=(*state.trace, entry), traced=number)


def changed(state: SessionState, **changes: object) -> SessionState:
    return state.model_copy(update=changes)


def _step(state: SessionState) -> str:
    steps = state.opened.plan.steps
    if state.step >= len(steps):
        return ""
    here = steps[state.step]
    return here.loop.body[state.frame.at].id if here.loop and state.frame else here.id
