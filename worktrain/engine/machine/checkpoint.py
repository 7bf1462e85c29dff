"""Points that a session can be put back to: what it knew and was about to say at each step."""

from collections.abc import Mapping
from typing import Any

from worktrain.contracts.session import (
    Checkpoint,
    ContinueAsked,
    GoOn,
    SessionOpened,
    SessionRequest,
    SessionState,
)
from worktrain.contracts.trace import TraceKind
from worktrain.contracts.turn import Continued, Rewound, Steer, Usage
from worktrain.engine.context_check import merged
from worktrain.engine.machine.tracing import changed, noted

CHECKPOINTS_MAX = 30
"""The newest are kept; an older point is reached by a fork of an older session."""


def marked(state: SessionState, step: str, title: str) -> SessionState:
    """The state with a checkpoint at the step that is about to be said."""
    number = state.checkpointed + 1
    point = Checkpoint(
        id=f"c{number}",
        step=step,
        title=title,
        at=state.step,
        frame=state.frame,
        head=state.head,
        say=state.say,
        artifacts=state.delivered,
        noted=state.noted,
    )
    kept = (*state.checkpoints, point)[-CHECKPOINTS_MAX:]
    return changed(state, checkpoints=kept, checkpointed=number)


def given(state: SessionState, variables: Mapping[str, Any]) -> SessionState:
    """The state with variables set (None removes one), in a way that can be undone."""
    if not variables:
        return state
    context = merged(state.context, variables)
    if state.checkpoints:
        *older, newest = state.checkpoints
        known = newest.before.keys() | set(newest.unset)
        touched = [name for name in variables if name not in known]
        newest = newest.model_copy(
            update={
                "before": {
                    **newest.before,
                    **{name: state.context[name] for name in touched if name in state.context},
                },
                "unset": (
                    *newest.unset,
                    *(name for name in touched if name not in state.context),
                ),
            }
        )
        state = changed(state, checkpoints=(*older, newest))
    return changed(state, context=context)


def found(state: SessionState, to: str) -> Checkpoint | None:
    """The checkpoint with this id, or the newest one of the step with this id."""
    return next((one for one in reversed(state.checkpoints) if to in (one.id, one.step)), None)


def rewound(state: SessionState, to: str, reason: str, by: str) -> SessionState:
    """The state as it was when the step of a checkpoint began; the agent is told why.

    What was spent since stays spent. Raises KeyError when there is no such checkpoint.
    """
    point = found(state, to)
    if point is None:
        raise KeyError(to)
    index = state.checkpoints.index(point)
    context = dict(state.context)
    for later in reversed(state.checkpoints[index:]):
        context.update(later.before)
        for name in later.unset:
            context.pop(name, None)
    kept = max(0, len(state.artifacts) - (state.delivered - point.artifacts))
    notes_kept = max(0, len(state.notes) - (state.noted - point.noted))
    unread = tuple(one for one in state.say if isinstance(one, Steer))
    state = changed(
        state,
        **_afresh(),
        step=point.at,
        frame=point.frame,
        head=point.head,
        say=(*point.say, Rewound(step=point.title, reason=reason, by=by), *unread),
        context=context,
        artifacts=state.artifacts[:kept],
        delivered=point.artifacts,
        notes=state.notes[:notes_kept],
        noted=point.noted,
        checkpoints=state.checkpoints[:index],
    )
    return noted(state, TraceKind.REWOUND, f"{by} put it back to {point.title!r}: {reason}")


def continued(state: SessionState, asked: ContinueAsked) -> SessionState:
    """A finished session at its last step again, which has to be completed once more.

    What it has delivered stays delivered.
    """
    last = state.checkpoints[-1]
    state = changed(state, **_afresh(), step=last.at, frame=last.frame)
    more = Continued(step=last.title, text=asked.text, by=asked.by, attached=asked.attached)
    state = changed(state, say=(*state.say, more))
    return noted(state, TraceKind.CONTINUED, f"{asked.by} asks for more: {asked.text}")


def resumed(state: SessionState, order: GoOn) -> SessionState:
    """A parked session as it works on: at another commit, within other limits.

    It is asked anew to hand over when little of those is left.
    """
    request = state.request.model_copy(update={"at": order.at, "limits": order.limits})
    return changed(state, request=request, warned=False)


def seeded(state: SessionState, request: SessionRequest, opened: SessionOpened) -> SessionState:
    """The state of one session as another one begins with it: nothing is spent yet."""
    return changed(
        state,
        request=request,
        opened=opened,
        turn=0,
        usage=Usage(),
        cost_microdollars=0,
        warned=False,
        trace=(),
        traced=0,
        spawned=0,
    )


def _afresh() -> dict[str, object]:
    """What is true of a step that was just begun."""
    return {
        "arrived": "gathered",
        "waiting": (),
        "claim": None,
        "blocks": 0,
        "reminders": 0,
        "redone": {},
        "rejections": 0,
        "steered": "",
        "steered_loop": "",
        "skipped": "",
    }
