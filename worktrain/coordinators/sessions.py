"""What a phase's session is started with: spec, place, words, variables, what it may use."""

from collections.abc import Mapping

from worktrain.contracts.artifact import (
    Artifact,
    AuditReport,
    Classification,
    CodingHandoff,
    Design,
    DiscoveryHandoff,
    Investigation,
    Retrospective,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.base import JsonObject
from worktrain.contracts.delivery import CommitRequest
from worktrain.contracts.pipeline import CommitWork, PipelineState
from worktrain.contracts.route import Phase
from worktrain.contracts.session import Diff, SessionRequest
from worktrain.contracts.workspace import Worktree
from worktrain.coordinators import context, purse

DELIVERS: Mapping[Phase, type[Artifact]] = {
    Phase.CLASSIFY: Classification,
    Phase.DISCOVERY: DiscoveryHandoff,
    Phase.SHAPING: ShapingHandoff,
    Phase.INVESTIGATION: Investigation,
    Phase.DESIGN: Design,
    Phase.CODING: CodingHandoff,
    Phase.REBASE: CodingHandoff,
    Phase.REVIEW: ReviewVerdict,
    Phase.FIX: CodingHandoff,
    Phase.AUDIT: AuditReport,
    Phase.RETROSPECTIVE: Retrospective,
}
"""The one kind of artifact that is taken from a phase: a coder sets no acceptance criteria."""

SPEC: Mapping[Phase, str] = {
    Phase.CLASSIFY: "classify-task",
    Phase.REBASE: "rebase",
    Phase.REVIEW: "review",
    Phase.FIX: "fix",
    Phase.RETROSPECTIVE: "look-back",
}
"""Of the phases whose spec does not depend on the route."""

WRITES = frozenset({Phase.CODING, Phase.REBASE, Phase.FIX})
"""Phases whose sessions leave a change on a branch."""


def session_of(
    state: PipelineState,
    phase: Phase,
    *,
    spec: str = "",
    label: str = "",
    branch: str | None = None,
    at: str = "",
    told: str = "",
    variables: JsonObject | None = None,
    diffs: tuple[Diff, ...] = (),
    share: int = 1,
) -> SessionRequest | None:
    """The next session of a phase; None when the pipeline's budget pays for no more.

    `label` names it instead of its phase; `told` is a section of its own, above the others.
    """
    limits = purse.limits_for(state, share)
    if limits is None:
        return None
    request, config = state.request, state.opened.config
    label = label or phase
    number = 1 + sum(label_of(record.session) == label for record in state.records)
    return SessionRequest(
        session=f"{request.pipeline}/{label}-{number}",
        pipeline=request.pipeline,
        phase=phase,
        spec=spec or SPEC[phase],
        repo=request.repo,
        base=state.base.at.commit,
        at=at or (state.candidate or state.base.at).commit,
        branch=branch,
        task=request.task,
        sections=context.told_to(phase, state, told),
        limits=limits,
        models=config.models,
        model=request.model,
        sandbox=config.sandbox,
        soul=config.soul,
        context={**(state.route.variables if state.route else {}), **(variables or {})},
        gates=config.gates,
        parks=phase is Phase.REVIEW,
        diffs=diffs,
    )


def branch_of(state: PipelineState) -> str:
    """The branch that the work happens on."""
    again = f"-again-{state.branches}" if state.branches else ""
    return f"worktrain/{state.request.pipeline.rpartition('/')[2]}{again}"


def commit_of(
    state: PipelineState, worktree: Worktree, handoff: CodingHandoff, session: str
) -> CommitWork:
    """The commit of what a session left in its worktree, described by its handoff."""
    return CommitWork(
        request=CommitRequest(
            worktree=worktree,
            key=session,
            subject=_one_line(handoff.commitSubject),
            body="\n".join(f"- {_one_line(decision)}" for decision in handoff.keyDecisions),
            trailers=(
                ("WorkTrain-Task", _one_line(state.request.task.source)),
                ("WorkTrain-Session", session),
            ),
        )
    )


def label_of(session: str) -> str:
    """What a session is named by: its phase, or the part of it that it was run for."""
    return session.rpartition("/")[2].rpartition("-")[0]


def _one_line(text: str) -> str:
    """A line break in an agent's words would let it write trailers of its own."""
    return " ".join(text.split())
