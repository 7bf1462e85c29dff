"""What one phase is told of the earlier ones: typed handoffs, never their talk."""

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel

from worktrain.contracts.artifact import (
    Artifact,
    CodingHandoff,
    DiscoveryHandoff,
    Handoff,
    ReviewVerdict,
    ShapingHandoff,
)
from worktrain.contracts.pipeline import Phase, PipelineState
from worktrain.contracts.session import Section
from worktrain.coordinators.merge_policy import judge

TOLD: dict[Phase, tuple[type[Handoff], ...]] = {
    Phase.DISCOVERY: (),
    Phase.SHAPING: (DiscoveryHandoff,),
    Phase.CODING: (DiscoveryHandoff, ShapingHandoff),
    Phase.REVIEW: (ShapingHandoff, CodingHandoff),
    Phase.FIX: (ShapingHandoff, CodingHandoff, ReviewVerdict),
    Phase.SESSION: (),
}
"""Which handoffs a phase is told of, oldest first; of each kind the newest."""

TITLES: dict[type[Handoff], str] = {
    DiscoveryHandoff: "What discovery found",
    ShapingHandoff: "What is to be built, and what must be true at the end",
    CodingHandoff: "What the coder says about the change",
    ReviewVerdict: "What the reviewer found",
}


Kind = TypeVar("Kind", bound=BaseModel)


def newest(artifacts: Sequence[Artifact], kind: type[Kind]) -> Kind | None:
    """The latest artifact of a kind."""
    return next((a for a in reversed(artifacts) if isinstance(a, kind)), None)


def sections(phase: Phase, state: PipelineState) -> tuple[Section, ...]:
    """The handoffs for a phase; for a fix also what the checks said of this very tree."""
    told = tuple(
        Section(title=TITLES[kind], body=found.model_dump_json(indent=1, exclude_defaults=True))
        for kind in TOLD[phase]
        if (found := newest(state.artifacts, kind)) is not None
    )
    if phase is Phase.FIX and state.verification is not None:
        told += _failed_checks(state)
    return told


def _failed_checks(state: PipelineState) -> tuple[Section, ...]:
    verification = state.verification
    if verification is None or verification.candidate != state.candidate:
        return ()
    judged = judge(verification)
    if judged.passed:
        return ()
    tails = [
        f"$ {pair.candidate.command}\n{pair.candidate.tail}"
        for pair in verification.checks
        if pair.candidate.ending != "passed"
    ]
    return (
        Section(
            title="What failed when the project's checks ran on this change",
            body="\n\n".join((*judged.reasons, *tails)),
        ),
    )
