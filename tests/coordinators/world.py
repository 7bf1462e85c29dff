"""A world for coordinators: answers every command as reality might, and remembers what it said.

It judges a merge by its own memory, never by the coordinator's state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, assert_never

from tests.coordinators.conftest import CHECK, artifact, ref
from worktrain.contracts.artifact import Artifact, Finding, ReviewVerdict, Severity
from worktrain.contracts.delivery import (
    BaseMoved,
    Committed,
    Conflicted,
    Foreign,
    Merged,
    NothingChanged,
    Posted,
    Rebased,
    Reverted,
    Surroundings,
)
from worktrain.contracts.examination import Examination, FileChange, Mark, RuleBreak
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.pipeline import (
    AskAgain,
    Begun,
    CommitWork,
    Decided,
    End,
    EnterLane,
    Examine,
    Examined,
    LaneGranted,
    LaneLeft,
    LeaveLane,
    LookAround,
    LookedAround,
    Merge,
    Opened,
    OpenGate,
    OpenRevert,
    PipelineCommand,
    PipelineEvent,
    PipelineKilled,
    PipelineRequest,
    PipelineState,
    PostReview,
    Prove,
    Proven,
    Rebase,
    RunSession,
    RunSessions,
    Seal,
    Sealed,
    SessionEnded,
    SessionsEnded,
    StepFailed,
    Suspend,
    Suspended,
    Unanswered,
    Verified,
    Verify,
)
from worktrain.contracts.proof import (
    CheckComparison,
    CheckEnding,
    CheckRun,
    Decision,
    PhaseRecord,
    SealedProof,
    Verification,
)
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.session import SessionEnding, SessionRequest, SessionResult
from worktrain.contracts.task import Task
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Base, CommitRef, WorkspaceConfig, Worktree
from worktrain.coordinators.feature import route
from worktrain.coordinators.sessions import DELIVERS

Choice = TypeVar("Choice")
Choose = Callable[[str, Sequence[Any]], Any]
"""Picks one of several things that may happen; the name says what is decided."""

STEPS_MAX = 500


def first(_: str, choices: Sequence[Any]) -> Any:
    """The world in which everything goes well."""
    return choices[0]


@dataclass
class World:
    choose: Choose = first
    config: WorkspaceConfig = field(default_factory=lambda: WorkspaceConfig(verify=(CHECK,)))
    kind: PipelineKind = PipelineKind.QUICK
    task: Task = field(default_factory=lambda: Task(source="typed", title="Make it work"))
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Changes to what phases deliver, by kind."""
    said: list[tuple[PipelineCommand, PipelineEvent]] = field(default_factory=list)
    commits: int = 0
    base: CommitRef = field(default_factory=lambda: ref("base"))
    verdicts: dict[str, ReviewVerdict] = field(default_factory=dict)
    """The newest of each tree."""
    passed: dict[tuple[str, str], bool] = field(default_factory=dict)
    """Whether the checks passed, by the commits of base and candidate."""
    dirty: dict[str, bool] = field(default_factory=dict)
    """Whether a tree breaks a rule or puts something off."""
    approvals: set[tuple[str, str]] = field(default_factory=set)
    """Gate and tree."""
    sealed: set[str] = field(default_factory=set)
    fixed: bool = False
    escalated: bool = False
    foreign: CommitRef | None = None
    in_lane: bool = False
    passes: int = 0
    state: PipelineState | None = None
    spent: dict[str, PhaseRecord] = field(default_factory=dict)

    def play(self) -> End:
        """Lead a pipeline to its end. Raises AssertionError when it does what it must not."""
        base = Base(branch="main", at=self.base)
        request = PipelineRequest(
            pipeline="task/w/t",
            workspace="w",
            repo="/repo",
            task=self.task,
            kind=self.kind,
            edition=2,
        )
        state = PipelineState(
            request=request,
            opened=Opened(base=base, config=self.config, files=100, candidate=self._given()),
            phase=Phase.CLASSIFY,
            base=base,
        )
        state, command = route(state, Begun())
        for _ in range(STEPS_MAX):
            self.state = state
            if isinstance(command, End):
                return command
            event = self._answered(state, command)
            self.said.append((command, event))
            state, command = route(state, event)
        raise AssertionError(f"no end after {STEPS_MAX} commands: {self.commands()[-12:]}")

    def commands(self) -> list[str]:
        return [command.kind for command, _ in self.said]

    def phases(self) -> list[str]:
        return [
            command.request.phase for command, _ in self.said if isinstance(command, RunSession)
        ]

    def gates(self) -> list[str]:
        return [command.gate for command, _ in self.said if isinstance(command, OpenGate)]

    # --- what happens ---------------------------------------------------------------------

    def _answered(self, state: PipelineState, command: PipelineCommand) -> PipelineEvent:
        trouble = self.choose("trouble", ["", "", "", "", "", "", "", "failed", "killed"])
        if trouble == "killed":
            return PipelineKilled(why="killed on request")
        if trouble == "failed" and not isinstance(command, Merge | Prove | RunSession):
            return StepFailed(failure=Failure(kind=FailureKind.INTERNAL, said="It broke."))
        match command:
            case RunSession(request=request):
                return SessionEnded(result=self._session(request, state))
            case RunSessions(requests=requests):
                return SessionsEnded(results=tuple(self._session(one, state) for one in requests))
            case AskAgain(session=session, at=at):
                return SessionEnded(result=self._review(session, at, 1, None))
            case CommitWork(request=commit):
                outcome = self.choose("commit", ["committed", "committed", "nothing", "foreign"])
                if outcome == "nothing":
                    return NothingChanged()
                if outcome == "foreign" and commit.known is not None:
                    self.foreign = self._commit()
                    return Foreign(head=self.foreign, by=("Ada <a@b>",))
                if "fix-" in commit.key:
                    self.fixed = True
                return Committed(at=self._commit(), files=("work.txt",))
            case LookAround():
                return self._look(state)
            case Examine(request=wanted):
                return Examined(examination=self._examination(wanted.base, wanted.candidate))
            case Verify(request=wanted):
                return Verified(verification=self._verification(wanted.base, wanted.candidate))
            case OpenGate(gate=gate, about=about):
                return self._decision(state, gate, about)
            case Rebase(request=wanted):
                joined = bool(wanted.branch) and wanted.onto == state.candidate
                if joined or (not state.slices and wanted.onto == state.built_on):
                    return Rebased(at=wanted.onto if joined else state.candidate or wanted.onto)
                outcome = self.choose("rebase", ["rebased", "rebased", "conflict"])
                if outcome == "conflict":
                    return Conflicted(files=("work.txt",))
                return Rebased(at=self._commit())
            case EnterLane():
                self.in_lane = True
                return LaneGranted()
            case LeaveLane():
                self.in_lane = False
                return LaneLeft()
            case Seal(proof=proof):
                broken = self.choose("seal", [(), (), (), ("a verdict is missing",)])
                if not broken:
                    self.sealed.add(proof.merged.tree)
                return Sealed(sealed=SealedProof(digest="" if broken else "d" * 64, broken=broken))
            case Merge(request=wanted):
                self.insist_on_policy(wanted.candidate, wanted.base.at)
                outcome = self.choose("merge", ["merged", "merged", "moved", "other"])
                if outcome == "moved":
                    self.base = self._commit()
                    return BaseMoved(now=self.base)
                if outcome == "other":
                    return Merged(at=self._commit())
                self.base = wanted.candidate
                return Merged(at=wanted.candidate)
            case Prove():
                return Proven(digest="d" * 64)
            case OpenRevert(request=wanted):
                return Reverted(branch=wanted.branch, at=self._commit(), where="here")
            case Suspend():
                return Suspended()
            case PostReview():
                return Posted(where="a note")
            case End():
                raise AssertionError("an ending is not answered")
            case _:
                assert_never(command)

    def insist_on_policy(self, candidate: CommitRef, base: CommitRef) -> None:
        """What must be true of whatever is merged, by what this world has said."""
        tree = candidate.tree
        verdict = self.verdicts.get(tree)
        assert verdict is not None, "merged without a verdict on this tree"
        accepted = ("findings", tree) in self.approvals
        assert verdict.verdict == "clean" or accepted, "merged with findings"
        assert self.passed.get((base.commit, candidate.commit)), "merged without passing checks"
        let_pass = {gate for gate, of in self.approvals if of == tree}
        assert not self.dirty.get(tree, True) or {"rules", "put-off"} <= let_pass, "merged dirty"
        assert tree in self.sealed, "merged without a proof"
        assert self.in_lane, "merged out of turn"
        if self.config.merge.policy == "ask" or self.escalated:
            assert "merge" in let_pass, "merged without the person who had to agree"

    def _given(self) -> CommitRef | None:
        return ref("given") if self.kind is PipelineKind.REVIEW else None

    def _commit(self) -> CommitRef:
        self.commits += 1
        # Now and then a tree comes back that was there before.
        again = self.choose("tree", [0, 0, 0, 0, 0, 0, 1])
        return ref(f"c{self.commits}", f"c{max(1, self.commits - 2)}" if again else None)

    def _look(self, state: PipelineState) -> LookedAround:
        seen = self.choose("look", ["same", "same", "same", "same", "moved", "edited"])
        if seen == "moved":
            self.base = self._commit()
        foreign = self.foreign
        if foreign is not None and foreign.commit == state.taken_in:
            foreign = None
        edit = Task(source="typed", title="Make it work at once") if seen == "edited" else None
        return LookedAround(
            surroundings=Surroundings(
                base=self.base,
                foreign=Foreign(head=foreign, by=("Ada <a@b>",)) if foreign else None,
                task=edit,
            )
        )

    def _decision(self, state: PipelineState, gate: str, about: tuple[str, ...]) -> PipelineEvent:
        answer = self.choose("answer", ["approved", "approved", "approved", "rejected", "none"])
        if answer == "none":
            return Unanswered(gate=gate)
        tree = state.candidate.tree if state.candidate else None
        if answer == "approved" and tree is not None:
            self.approvals.add((gate, tree))
        if answer == "approved" and gate == "foreign-commits":
            self.foreign = None
        return Decided(
            decision=Decision(
                gate=gate, answer=answer, by="ada", reason="so be it", tree=tree, about=about
            )
        )

    def _verification(self, base: CommitRef, candidate: CommitRef) -> Verification:
        ending = self.choose("checks", [CheckEnding.PASSED] * 5 + [CheckEnding.FAILED])
        self.passed[base.commit, candidate.commit] = ending is CheckEnding.PASSED
        runs = {
            side: CheckRun(
                name=CHECK.name,
                command=CHECK.run,
                at=at,
                ending=how,
                exit_code=0 if how is CheckEnding.PASSED else 1,
                seconds=1.0,
                passed=("t::works",) if how is CheckEnding.PASSED else (),
                failed=() if how is CheckEnding.PASSED else ("t::works",),
                skipped=(),
            )
            for side, at, how in (
                ("base", base, CheckEnding.PASSED),
                ("candidate", candidate, ending),
            )
        }
        pair = CheckComparison(name=CHECK.name, base=runs["base"], candidate=runs["candidate"])
        return Verification(base=base, candidate=candidate, checks=(pair,))

    def _examination(self, base: CommitRef, candidate: CommitRef) -> Examination:
        dirty = self.choose("dirt", [False] * 6 + [True])
        self.dirty[candidate.tree] = dirty
        mark = Mark(path="work.txt", line=1, kind="todo", text="TODO: the rest")
        broken = RuleBreak(rule="r", path="work.txt", line=1, text="import os", why="")
        change = FileChange(path="work.txt", status="added", added=1, removed=0, hunks=((1, 1),))
        return Examination(
            base=base,
            candidate=candidate,
            changes=(change,),
            marks=(mark,) if dirty else (),
            breaks=(broken,) if dirty else (),
        )

    # --- sessions -------------------------------------------------------------------------

    def _session(self, request: SessionRequest, state: PipelineState) -> SessionResult:
        endings = [SessionEnding.COMPLETED] * 7 + [
            SessionEnding.BLOCKED,
            SessionEnding.TURN_LIMIT,
            SessionEnding.COST_LIMIT,
            SessionEnding.REFUSED,
            SessionEnding.KILLED,
        ]
        ending = self.choose("ending", endings)
        phase = Phase(request.phase)
        worktree = None
        if request.branch is not None:
            worktree = Worktree(
                session=request.session,
                repo="/repo",
                root=f"/home/w/{request.branch.replace('/', '-')}",
                branch=request.branch,
                queue="host",
            )
        if phase is Phase.REVIEW and ending is SessionEnding.COMPLETED:
            at = state.candidate
            assert at is not None
            return self._review(request.session, at, 3, worktree)
        delivered: tuple[Artifact, ...] = ()
        if ending is SessionEnding.COMPLETED:
            delivered = (self._artifact(phase),)
        # A pass whose session fails is begun again.
        if phase is Phase.FIX and ending is SessionEnding.COMPLETED:
            self.passes += 1
            assert self.passes <= self.config.merge.passes_max, "one fix pass too many"
        return self._result(request.session, request.spec, phase, ending, 3, delivered, worktree)

    def _artifact(self, phase: Phase) -> Artifact:
        kind = DELIVERS[phase].model_fields["kind"].default
        table: dict[str, dict[str, Any]] = {
            "wr.coding_handoff": {"criteria": [], "dispositions": []},
            "wr.audit_report": {"verdict": "ready", "findings": []},
            "wr.classification": {"interpretation": "So.", "interpretationConfidence": "high"},
        }
        changes = table.get(kind, {})
        if kind == "wr.audit_report" and self.choose("audit", [0, 0, 1]):
            changes = {"verdict": "not_ready"}
        made: Artifact = artifact(kind, **{**changes, **self.artifacts.get(kind, {})})
        return made

    def _review(
        self, session: str, at: CommitRef, turns: int, worktree: Worktree | None
    ) -> SessionResult:
        severity = self.choose("verdict", [None, None, None, *Severity])
        claim = self.choose("claim", ["The sum is wrong.", "The unit is missing.", "No test."])
        findings = (Finding(severity=severity, summary=claim, file="work.txt"),) if severity else ()
        word = {None: "clean", Severity.MINOR: "minor", Severity.NIT: "minor"}
        verdict = ReviewVerdict.model_validate(
            {
                "verdict": word.get(severity, "blocking"),
                "confidence": "high",
                "findings": findings,
                "summary": "Read it.",
                "criteria": [
                    {"criterion": f"AC{number}", "met": "yes", "evidence": "Ran it."}
                    for number in range(1, 4)
                ],
            }
        )
        looks = self.choose("looks", [1, 1, 1, 1, 1, 0])
        if looks:
            self.verdicts[at.tree] = verdict
            if severity is Severity.CRITICAL and self.fixed:
                self.escalated = True
        return self._result(
            session, "review", Phase.REVIEW, SessionEnding.COMPLETED, turns, (verdict,), worktree,
            looks,
        )  # fmt: skip

    def _result(
        self,
        session: str,
        spec: str,
        phase: Phase,
        ending: SessionEnding,
        turns: int,
        delivered: tuple[Artifact, ...],
        worktree: Worktree | None,
        looks: int = 1,
    ) -> SessionResult:
        before = self.spent.get(session)
        record = PhaseRecord(
            phase=phase,
            session=session,
            spec=spec,
            script="s" * 64,
            ending=ending,
            turns=turns + (before.turns if before else 0),
            usage=Usage(input=10, output=5) + (before.usage if before else Usage()),
            cost_microdollars=100 + (before.cost_microdollars if before else 0),
            model="m",
            looks=looks + (before.looks if before else 0),
        )
        self.spent[session] = record
        return SessionResult(
            record=record, ending=ending, why="It ended.", artifacts=delivered, worktree=worktree
        )
