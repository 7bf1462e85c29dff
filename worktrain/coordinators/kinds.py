"""Which coordinator leads which kind of pipeline, and with which phase it begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worktrain.contracts.pipeline import (
    PipelineCommand,
    PipelineEvent,
    PipelineRequest,
    PipelineState,
)
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.coordinators import edition_1, feature, single

EDITION = 2
"""Of the rules that a pipeline is led by from its beginning to its end."""


@dataclass(frozen=True)
class Coordinator:
    first: Phase
    route: Callable[[PipelineState, PipelineEvent], tuple[PipelineState, PipelineCommand]]


COORDINATORS: Mapping[PipelineKind, Coordinator] = {
    **{kind: Coordinator(Phase.CLASSIFY, feature.route) for kind in feature.DUTIES},
    PipelineKind.REVIEW: Coordinator(Phase.REVIEW, feature.route),
    PipelineKind.SPEC: Coordinator(Phase.SESSION, single.route),
}

FIRST_EDITION: Mapping[PipelineKind, Coordinator] = {
    **{kind: Coordinator(first, edition_1.route) for kind, first in edition_1.FIRST.items()},
    PipelineKind.SPEC: Coordinator(Phase.SESSION, single.route),
}


def coordinator_of(request: PipelineRequest) -> Coordinator:
    """Who leads it: the rules that held when it began stay its own."""
    return (FIRST_EDITION if request.edition == 1 else COORDINATORS)[request.kind]
