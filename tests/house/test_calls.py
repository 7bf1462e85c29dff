"""Calls: each has its limits and its one method, and what stands in histories only grows."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, TypeAdapter
from temporalio import activity

from worktrain.activities.delivering import DeliveringActivities
from worktrain.activities.door import implements
from worktrain.activities.examining import ExaminingActivities
from worktrain.activities.gathering import GatheringActivities
from worktrain.activities.lanes import LaneActivities
from worktrain.activities.looking import LookingActivities
from worktrain.activities.model import ModelActivities
from worktrain.activities.opening import OpeningActivities
from worktrain.activities.sealing import SealingActivities
from worktrain.activities.tool import ToolActivities
from worktrain.contracts import calls
from worktrain.contracts.artifact import ProjectArtifact
from worktrain.contracts.base import Value
from worktrain.contracts.calls import COMMIT_WORK, Call
from worktrain.contracts.delivery import CommitReply, CommitRequest, Committed, RebaseRequest
from worktrain.contracts.failure import TREATMENT, FailureKind, Treatment
from worktrain.contracts.pipeline import PipelineRequest, PipelineResult, PipelineState
from worktrain.contracts.plan import Context, Script
from worktrain.contracts.session import GoOn, SessionResult, SessionStart
from worktrain.contracts.steering import Answer, GateAnswer, Order
from worktrain.contracts.turn import Message, Steer
from worktrain.engine.machine import ENDING_OF_FAILURE
from worktrain.workflows.ask import LIMITS
from worktrain.workflows.lane import LaneState

AnyCall = Call[Any, Any]
ACTIVITIES = (
    *(OpeningActivities, GatheringActivities, ModelActivities),
    *(ToolActivities, DeliveringActivities, ExaminingActivities, LookingActivities),
    *(SealingActivities, LaneActivities),
)
KEPT: tuple[Any, ...] = (
    *(part for call in calls.ALL for part in (call.request, call.reply)),
    *(SessionStart, SessionResult, PipelineRequest, PipelineResult, PipelineState),
    *(Steer, Answer, GateAnswer, Order),
    *(GoOn, LaneState),
    *(Script, Context, Message),
)
"""What Temporal keeps in histories and the store keeps as text, and reads back years later."""

REQUIRED = {
    "artifact.AcceptanceCriterion": "id statement",
    "artifact.Alternative": "option reason",
    "artifact.AssessmentReport": "dimensions",
    "artifact.AuditReport": "audit verdict confidence scope summary",
    "artifact.Classification": (
        "taskComplexity riskLevel hasUI touchesArchitecture taskType recommendedPipeline rationale"
    ),
    "artifact.CodingHandoff": "commitSubject",
    "artifact.CoordinatorResult": "outcome summary sessionId error",
    "artifact.CoordinatorSignal": "signalKind",
    "artifact.CorrectedAssumption": "assumed actual",
    "artifact.CriterionEvidence": "criterion evidence",
    "artifact.CriterionJudgement": "criterion met evidence",
    "artifact.DefensibilityClaim": "power cannibalization",
    "artifact.Design": "title approach summary",
    "artifact.DifferentiationHandoff": "generatedAt evidenceFreshness shapingHandoff",
    "artifact.Digest": "title period",
    "artifact.DiscoveryHandoff": "selectedDirection confidenceBand",
    "artifact.Disposition": "finding outcome evidence",
    "artifact.EvidenceFreshness": "oldestCapturedAt newestCapturedAt",
    "artifact.Finding": "severity summary",
    "artifact.GateVerdict": "verdict confidence rationale",
    "artifact.Hints": "teamSize",
    "artifact.Hypothesis": "claim status",
    "artifact.IdeaToShape": "rawIdea problem baseline appetiteHint constraints defensibilityClaim",
    "artifact.Investigation": "summary rootCause confidence severity evidence recommendedFix",
    "artifact.Location": "path relevance",
    "artifact.LoopControl": "decision",
    "artifact.LoopFacts": "",
    "artifact.ProjectArtifact": "kind",
    "artifact.RatedLevel": "level",
    "artifact.RejectedDirection": "direction reason",
    "artifact.ResearchReport": "question answer confidence sources summary",
    "artifact.ResearchSource": "source says",
    "artifact.Retrospective": "summary",
    "artifact.ReviewVerdict": "verdict confidence summary",
    "artifact.ShapingHandoff": "selectedShape appetite acceptanceCriteria",
    "artifact.SlicePlan": "id title goal files check",
    "artifact.SpecDraft": "specPath checked summary",
    "artifact.Triage": "subject assessment severity summary nextStep",
    "calls.HolderEnded": "ended",
    "calls.Nothing": "",
    "delivery.BaseMoved": "now",
    "delivery.CloseWorktreeReply": "",
    "delivery.CloseWorktreeRequest": "worktree keep_branch",
    "delivery.CommitRequest": "worktree key subject",
    "delivery.Committed": "at files",
    "delivery.Conflicted": "files",
    "delivery.Foreign": "head by",
    "delivery.LaneRequest": "lane pipeline",
    "delivery.LookRequest": "pipeline repo base task",
    "delivery.MergeRequest": "pipeline repo base candidate",
    "delivery.Merged": "at",
    "delivery.NothingChanged": "",
    "delivery.Posted": "where",
    "delivery.ProofReply": "digest note",
    "delivery.ProofRequest": "repo base proof",
    "delivery.RebaseRequest": "worktree onto",
    "delivery.Rebased": "at",
    "delivery.RevertRequest": "pipeline repo base before merged branch why",
    "delivery.Reverted": "branch at where",
    "delivery.ReviewPost": "pipeline repo base at text",
    "delivery.SealRequest": "proof",
    "delivery.ShowChangeRequest": "repo before after",
    "delivery.ShownChange": "digest",
    "delivery.SnapshotRequest": "worktree key",
    "delivery.Surroundings": "base",
    "delivery.Suspension": "id repo paths why",
    "examination.Examination": "base candidate changes",
    "examination.ExamineRequest": "pipeline repo base candidate",
    "examination.FileChange": "path status added removed",
    "examination.Mark": "path line kind text",
    "examination.RuleBreak": "rule path line text why",
    "lane.LaneState": "",
    "ledger.Entry": "id finding standing first_round last_round",
    "ledger.Ledger": "",
    "ledger.Round": "number session tree",
    "pipeline.End": "ending why",
    "pipeline.Opened": "base config",
    "pipeline.PipelineRequest": "pipeline workspace repo task kind",
    "pipeline.PipelineResult": "id ending why",
    "pipeline.PipelineState": "request opened phase base",
    "pipeline.SliceWork": "plan",
    "pipeline.Told": "at said",
    "plan.Ask": "variable text",
    "plan.Assessment": "id dimensions",
    "plan.Confirmation": "kind",
    "plan.Consequence": "level guidance",
    "plan.Context": "opening rules",
    "plan.Delegation": "name spec goal",
    "plan.Dimension": "id levels",
    "plan.Fragment": "id",
    "plan.Jump": "when to jumps_max",
    "plan.Loop": "type passes_max body",
    "plan.Parallel": "delegations",
    "plan.Plan": "spec model_tier steps",
    "plan.PlanStep": "id title",
    "plan.Script": "spec system prompts words",
    "plan.Source": "variable",
    "plan.Words": (
        "base tools task section rules workspace_rules deliver notes step accepted blocked "
        "reminder cut_off not_run one_step unread noted answer steer near_limit no_output "
        "lost"
    ),
    "proof.Audit": "session at report",
    "proof.CheckComparison": "name base candidate",
    "proof.CheckRun": "name command at ending exit_code seconds",
    "proof.CriterionTrace": "criterion",
    "proof.Decision": "gate answer by",
    "proof.Escalation": "why since_tree",
    "proof.Matrix": "tree rows",
    "proof.PhaseRecord": "phase session spec script ending turns usage cost_microdollars model",
    "proof.Proof": (
        "pipeline task base merged base_branch criteria phases reviews verification decisions "
        "usage cost_microdollars"
    ),
    "proof.Review": "session at verdict",
    "proof.SealedProof": "",
    "proof.Verification": "base candidate checks",
    "proof.VerifyRequest": "pipeline repo base candidate commands sandbox",
    "record.Decided": "pipeline key decision",
    "route.Demand": "gate detail why",
    "route.Judged": "name value by why",
    "route.Override": "by pipeline reason",
    "route.Route": "pipeline why stages",
    "route.Stage": "phase spec runs why",
    "route.TaskClass": "task_type complexity risk has_ui touches_architecture maturity",
    "session.AskModel": "request",
    "session.AskOperator": "question",
    "session.Checkpoint": "id step title at head say artifacts",
    "session.Child": "name request",
    "session.Claim": "call notes",
    "session.Confirm": "gate",
    "session.ContinueAsked": "text by",
    "session.Diff": "title before after",
    "session.Finish": "ending why",
    "session.Frame": "iteration at",
    "session.Gather": "request",
    "session.GatherRequest": "session repo at task sources",
    "session.Gathered": "values",
    "session.GoOn": "at limits event",
    "session.Question": "id text",
    "session.RewindAsked": "checkpoint reason by",
    "session.RunChildren": "children",
    "session.RunTools": "groups",
    "session.Section": "title body",
    "session.Seed": "state event",
    "session.SessionClosed": "session pipeline record artifacts notes why",
    "session.SessionOpened": "plan script context",
    "session.SessionRequest": (
        "session pipeline phase spec repo base at branch task sections limits models model sandbox"
    ),
    "session.SessionResult": "record ending why",
    "session.SessionStart": "request",
    "session.SessionState": "request opened",
    "steering.Answer": "question text by",
    "steering.Gate": "id text",
    "steering.GateAnswer": "answer by",
    "steering.Order": "by",
    "task.Task": "source title",
    "trace.Trace": "n kind step text",
    "turn.Blocker": "code pointer message",
    "turn.CallAnswered": "call word",
    "turn.Continued": "step text by",
    "turn.CutOff": "max_tokens",
    "turn.Delegated": "step children",
    "turn.Message": "role blocks",
    "turn.NearLimit": "limit left",
    "turn.OpaqueBlock": "raw",
    "turn.Pass": "loop number most",
    "turn.Pointer": "kind name",
    "turn.Reminder": "step",
    "turn.Reported": "name session ending why",
    "turn.Rewound": "step reason by",
    "turn.Spawned": "call children",
    "turn.Steer": "text by",
    "turn.StepAccepted": "call",
    "turn.StepBlocked": "call step tries_left",
    "turn.StepPrompt": "step",
    "turn.TextBlock": "text",
    "turn.ToolCall": "id name preview",
    "turn.ToolDone": "call",
    "turn.ToolReply": "call ok preview",
    "turn.ToolRequest": "session head call name root",
    "turn.ToolResultBlock": "tool_use_id content",
    "turn.ToolUseBlock": "id name input",
    "turn.TurnReply": "head stop",
    "turn.TurnRequest": "session turn head say script context model max_tokens",
    "turn.Usage": "",
    "workspace.ArchitectureRule": "name kind forbids",
    "workspace.Base": "branch at",
    "workspace.Budget": "",
    "workspace.CommitRef": "commit tree",
    "workspace.Limits": "",
    "workspace.MergeRules": "",
    "workspace.ModelNames": "",
    "workspace.ReviewRules": "",
    "workspace.SandboxRules": "",
    "workspace.VerifyCommand": "name run",
    "workspace.WorkspaceConfig": "",
    "workspace.Worktree": "session repo root queue",
    "workspace.WorktreeRequest": "session repo at",
}
"""Every value that is kept, and the fields that it demanded when it was first kept."""


def kept() -> dict[str, type[BaseModel]]:
    """Every value that is inside one that is kept, by its name."""
    found: dict[str, type[BaseModel]] = {}

    def visit(annotation: object) -> None:
        for inner in get_args(annotation):
            visit(inner)
        if not isinstance(annotation, type) or not issubclass(annotation, BaseModel):
            return
        name = f"{annotation.__module__.rpartition('.')[2]}.{annotation.__name__}"
        if name not in found:
            found[name] = annotation
            for field in annotation.model_fields.values():
                visit(field.annotation)

    for root in KEPT:
        visit(root)
    return found


@pytest.mark.parametrize("call", calls.ALL, ids=lambda call: call.name)
def test_a_call_has_its_row_of_limits(call: AnyCall) -> None:
    row = LIMITS[call.name]
    assert row.attempts_max > 1
    assert row.attempt.total_seconds() > 0


@pytest.mark.parametrize("call", calls.ALL, ids=lambda call: call.name)
def test_a_call_asks_with_a_value_and_is_answered_in_one_known_shape(call: AnyCall) -> None:
    assert issubclass(call.request, Value)
    reply: Any = call.reply
    shape = TypeAdapter(reply).json_schema()
    # A union can only be read back if every member says which one it is.
    assert "discriminator" in shape or shape["type"] == "object"


def test_calls_are_named_as_their_constants_and_differ() -> None:
    named = {name.lower(): one for name, one in vars(calls).items() if isinstance(one, Call)}
    assert {name: call.name for name, call in named.items()} == {name: name for name in named}
    assert len(calls.ALL) == len(named)


def methods() -> Iterator[str]:
    for activities in ACTIVITIES:
        for member in vars(activities).values():
            definition = getattr(member, "__temporal_activity_definition", None)
            if definition is not None:
                yield definition.name


def test_every_call_is_answered_by_exactly_one_method() -> None:
    assert sorted(methods()) == sorted(call.name for call in calls.ALL)


def test_a_method_whose_types_are_not_those_of_its_call_is_refused() -> None:
    async def takes_another(self: object, request: RebaseRequest) -> CommitReply:
        raise NotImplementedError

    async def answers_another(self: object, request: CommitRequest) -> Committed:
        raise NotImplementedError

    async def right(self: object, request: CommitRequest) -> CommitReply:
        raise NotImplementedError

    for wrong in (takes_another, answers_another):
        with pytest.raises(TypeError, match=f"{wrong.__name__} must take .*commit_work"):
            implements(COMMIT_WORK)(wrong)
    assert activity._Definition.must_from_callable(implements(COMMIT_WORK)(right)).name == (
        "commit_work"
    )


def test_every_kind_of_failure_has_its_treatment_and_an_end_its_name() -> None:
    assert set(TREATMENT) == set(FailureKind)
    assert all(TREATMENT[kind] is Treatment.END for kind in ENDING_OF_FAILURE)


def test_nothing_that_is_kept_demands_more_than_it_did() -> None:
    now = {
        name: " ".join(key for key, field in model.model_fields.items() if field.is_required())
        for name, model in kept().items()
    }
    grown = {name: fields for name, fields in now.items() if fields != REQUIRED.get(name)}
    assert grown == {}, "give a new field a default, or histories from before cannot be read"
    assert set(now) == set(REQUIRED)


def test_values_in_histories_ignore_what_they_do_not_know() -> None:
    """Authored ones too, once accepted: it is where they are read that an unknown key is refused
    (tests of engine.parse and engine.contracts_check)."""
    for name, model in kept().items():
        assert model.model_config.get("frozen"), name
        # The fields of a project's own kind are those of its JSON Schema.
        wanted = "allow" if model is ProjectArtifact else "ignore"
        assert model.model_config.get("extra") == wanted, name
