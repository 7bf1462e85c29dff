"""What a command's exit code says."""

from collections.abc import Mapping
from enum import IntEnum

from worktrain.contracts.pipeline import PipelineEnding


class Exit(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    """For a human."""
    ESCALATED = 4


BY_ENDING: Mapping[PipelineEnding, Exit] = {
    PipelineEnding.MERGED: Exit.DONE,
    PipelineEnding.COMPLETED: Exit.DONE,
    PipelineEnding.NO_CHANGE: Exit.FAILED,
    PipelineEnding.REJECTED: Exit.FAILED,
    PipelineEnding.UNANSWERED: Exit.ESCALATED,
    PipelineEnding.ESCALATED: Exit.ESCALATED,
    PipelineEnding.OUT_OF_BUDGET: Exit.ESCALATED,
    PipelineEnding.REVERT_OPENED: Exit.ESCALATED,
    PipelineEnding.FAILED: Exit.FAILED,
    PipelineEnding.KILLED: Exit.FAILED,
}
