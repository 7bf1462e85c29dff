"""What a pipeline owes before it may go on: each duty names the next thing to do, or is done."""

from collections.abc import Callable

from worktrain.contracts.pipeline import PipelineCommand, PipelineState

Step = tuple[PipelineState, PipelineCommand]
Duty = Callable[[PipelineState], Step | None]
"""None when there is nothing left to do about it."""
Folded = PipelineState | Step
"""What an event leads to: the state alone, and whatever is owed next; or a step that comes next."""


def changed(state: PipelineState, **changes: object) -> PipelineState:
    """The state with other values; it is not validated again."""
    return state.model_copy(update=changes)
