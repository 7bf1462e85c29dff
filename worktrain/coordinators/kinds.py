"""Which coordinator leads which kind of pipeline, and with which phase it begins."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from worktrain.contracts.pipeline import (
    Phase,
    PipelineCommand,
    PipelineEvent,
    PipelineKind,
    PipelineState,
)
from worktrain.coordinators import feature, single


@dataclass(frozen=True)
class Coordinator:
    first: Phase
    route: Callable[[PipelineState, PipelineEvent], tuple[PipelineState, PipelineCommand]]


COORDINATORS: Mapping[PipelineKind, Coordinator] = {
    **{kind: Coordinator(first, feature.route) for kind, first in feature.FIRST.items()},
    PipelineKind.SPEC: Coordinator(Phase.SESSION, single.route),
}
