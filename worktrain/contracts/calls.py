"""Every call a workflow may make to the outside: its name and both of its shapes."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from worktrain.contracts import (
    delivery,
    examination,
    pipeline,
    proof,
    record,
    session,
    turn,
    workspace,
)
from worktrain.contracts.base import Value

Request = TypeVar("Request", bound=Value)
Reply = TypeVar("Reply")


class Nothing(Value):
    """An answer that carries no more than that it was done."""


class HolderEnded(Value):
    """Whether a workflow that holds something has ended without giving it back."""

    ended: bool


@dataclass(frozen=True)
class Call(Generic[Request, Reply]):
    """One kind of activity. `reply` is a type, or a union of values told apart by `kind`."""

    name: str
    request: type[Request]
    reply: object


OPEN_PIPELINE = Call[pipeline.PipelineRequest, pipeline.Opened](
    "open_pipeline", pipeline.PipelineRequest, pipeline.Opened
)
CLOSE_PIPELINE = Call[pipeline.PipelineResult, Nothing](
    "close_pipeline", pipeline.PipelineResult, Nothing
)
OPEN_WORKTREE = Call[workspace.WorktreeRequest, workspace.Worktree](
    "open_worktree", workspace.WorktreeRequest, workspace.Worktree
)
CLOSE_WORKTREE = Call[delivery.CloseWorktreeRequest, delivery.CloseWorktreeReply](
    "close_worktree", delivery.CloseWorktreeRequest, delivery.CloseWorktreeReply
)
OPEN_SESSION = Call[session.SessionRequest, session.SessionOpened](
    "open_session", session.SessionRequest, session.SessionOpened
)
CLOSE_SESSION = Call[session.SessionClosed, Nothing](
    "close_session", session.SessionClosed, Nothing
)
TAKE_TURN = Call[turn.TurnRequest, turn.TurnReply]("take_turn", turn.TurnRequest, turn.TurnReply)
RUN_TOOL = Call[turn.ToolRequest, turn.ToolReply]("run_tool", turn.ToolRequest, turn.ToolReply)
GATHER = Call[session.GatherRequest, session.Gathered](
    "gather", session.GatherRequest, session.Gathered
)
SNAPSHOT = Call[delivery.SnapshotRequest, workspace.CommitRef](
    "snapshot", delivery.SnapshotRequest, workspace.CommitRef
)
COMMIT_WORK = Call[delivery.CommitRequest, delivery.CommitReply](
    "commit_work", delivery.CommitRequest, delivery.CommitReply
)
LOOK_AROUND = Call[delivery.LookRequest, delivery.Surroundings](
    "look_around", delivery.LookRequest, delivery.Surroundings
)
EXAMINE = Call[examination.ExamineRequest, examination.Examination](
    "examine", examination.ExamineRequest, examination.Examination
)
SHOW_CHANGE = Call[delivery.ShowChangeRequest, delivery.ShownChange](
    "show_change", delivery.ShowChangeRequest, delivery.ShownChange
)
RECORD_DECISION = Call[record.Decided, Nothing]("record_decision", record.Decided, Nothing)
ENTER_LANE = Call[delivery.LaneRequest, Nothing]("enter_lane", delivery.LaneRequest, Nothing)
LANE_HOLDER_ENDED = Call[delivery.LaneRequest, HolderEnded](
    "lane_holder_ended", delivery.LaneRequest, HolderEnded
)
SEAL_PROOF = Call[delivery.SealRequest, proof.SealedProof](
    "seal_proof", delivery.SealRequest, proof.SealedProof
)
OPEN_REVERT = Call[delivery.RevertRequest, delivery.Reverted](
    "open_revert", delivery.RevertRequest, delivery.Reverted
)
SUSPEND = Call[delivery.Suspension, Nothing]("suspend", delivery.Suspension, Nothing)
POST_REVIEW = Call[delivery.ReviewPost, delivery.Posted](
    "post_review", delivery.ReviewPost, delivery.Posted
)
VERIFY = Call[proof.VerifyRequest, proof.Verification](
    "verify", proof.VerifyRequest, proof.Verification
)
REBASE = Call[delivery.RebaseRequest, delivery.RebaseReply](
    "rebase", delivery.RebaseRequest, delivery.RebaseReply
)
MERGE = Call[delivery.MergeRequest, delivery.MergeReply](
    "merge", delivery.MergeRequest, delivery.MergeReply
)
ATTACH_PROOF = Call[delivery.ProofRequest, delivery.ProofReply](
    "attach_proof", delivery.ProofRequest, delivery.ProofReply
)

ALL: tuple[Call, ...] = tuple(  # type: ignore[type-arg]
    value for value in list(globals().values()) if isinstance(value, Call)
)
