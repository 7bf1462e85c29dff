"""What follows every ending of every phase, every event and every answer."""

from dataclasses import dataclass, field
from itertools import product
from random import Random
from typing import Any, NamedTuple, get_args

import pytest

from tests.coordinators.conftest import (
    BASE,
    JUDGED,
    ONE,
    STAGES,
    WORKTREE,
    F,
    P,
    artifact,
    check,
    decision,
    examination,
    judged,
    opened,
    ready,
    ref,
    session,
    verification,
    way,
)
from tests.coordinators.world import Choose, World
from worktrain.contracts.artifact import Artifact, Finding, Severity, SlicePlan
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
from worktrain.contracts.examination import Mark, RuleBreak
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.pipeline import (
    Begun,
    Decided,
    End,
    Examined,
    LaneGranted,
    LaneLeft,
    LookAround,
    LookedAround,
    OpenGate,
    PipelineCommand,
    PipelineEnding,
    PipelineEvent,
    PipelineKilled,
    PipelineState,
    Proven,
    Rebase,
    RunSession,
    Sealed,
    SessionEnded,
    SessionsEnded,
    SliceWork,
    StepFailed,
    Suspended,
    Unanswered,
    Verified,
)
from worktrain.contracts.proof import Audit, Decision, SealedProof
from worktrain.contracts.route import Phase, PipelineKind, Stage
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.task import Task
from worktrain.coordinators.feature import route
from worktrain.coordinators.gates import APPROVING
from worktrain.coordinators.recover import ADVICE

PHASES = [phase for phase in Phase if phase not in (Phase.MERGE, Phase.SESSION)]
WRONG = Finding(severity=Severity.MAJOR, summary="The sum is wrong.", file="app/login.py")
MOVED = BASE.model_copy(update={"at": ref("moved")})
ANEW = WORKTREE.model_copy(update={"branch": "worktrain/t-again-1", "root": "/home/w/rebase-1"})
AUDIT = "performance-audit"
MERGED = End(ending=PipelineEnding.MERGED, why="merged into main")

UNBUILT: dict[str, Any] = {
    "candidate": None,
    "worktree": None,
    "examination": None,
    "verification": None,
    "reviews": (),
    "trees": (),
    "sealed": "",
    "sealed_for": "",
    "in_lane": False,
    "artifacts": ready().artifacts[:2],
    "records": ready().records[:2],
}
"""Nothing is coded yet."""


def first(phase: Phase, spec: str, kind: PipelineKind = PipelineKind.FEATURE) -> dict[str, Any]:
    """A phase that delivers no code is at work, and only coding follows it."""
    stage = Stage(phase=phase, spec=spec, runs=True, why="it always runs")
    stages = way(pipeline=kind).model_copy(update={"stages": (stage, STAGES[-1])})
    return {**UNBUILT, "route": stages, "artifacts": ready().artifacts[:1]}


SPEC = {
    Phase.CLASSIFY: "classify-task",
    Phase.DISCOVERY: "discovery",
    Phase.SHAPING: "shaping",
    Phase.INVESTIGATION: "bug-investigation",
    Phase.DESIGN: "ui-ux-design",
    Phase.CODING: "coding-task",
    Phase.AUDIT: AUDIT,
}
AT_WORK: dict[Phase, dict[str, Any]] = {
    Phase.CLASSIFY: {**UNBUILT, "route": None, "classified": None, "artifacts": (), "records": ()},
    Phase.DISCOVERY: first(Phase.DISCOVERY, "discovery"),
    Phase.SHAPING: first(Phase.SHAPING, "shaping"),
    Phase.INVESTIGATION: first(Phase.INVESTIGATION, "bug-investigation", PipelineKind.BUGFIX),
    Phase.DESIGN: first(Phase.DESIGN, "ui-ux-design"),
    Phase.CODING: UNBUILT,
    Phase.REBASE: {
        "base": MOVED,
        "rebases": 1,
        "rebasing": ("app/login.py",),
        "branches": 1,
        "left": (WORKTREE,),
    },
    Phase.REVIEW: {"reviews": ()},
    Phase.FIX: {"reviews": (judged(WRONG),), "passes": 1},
    Phase.AUDIT: {"route": way(("audit", AUDIT))},
    Phase.RETROSPECTIVE: {"opened": opened(retrospective=True), "end": MERGED, "in_lane": False},
}
"""A pipeline whose session of a phase is running."""

DELIVERS: dict[Phase, Artifact] = {
    Phase.CLASSIFY: ready().artifacts[0],
    Phase.DISCOVERY: artifact("wr.discovery_handoff"),
    Phase.SHAPING: ready().artifacts[1],
    Phase.INVESTIGATION: artifact("wr.investigation"),
    Phase.DESIGN: artifact("wr.design"),
    Phase.CODING: ready().artifacts[2],
    Phase.REBASE: ready().artifacts[2],
    Phase.REVIEW: judged().verdict,
    Phase.FIX: ready().artifacts[2],
    Phase.AUDIT: artifact("wr.audit_report", verdict="ready", findings=[]),
    Phase.RETROSPECTIVE: artifact("wr.retrospective"),
}


def at_work(phase: Phase, **changes: Any) -> PipelineState:
    state = ready(**{"in_lane": False, **AT_WORK[phase], **changes})
    return state.model_copy(update={"phase": phase})


def ended(
    phase: Phase, ending: SessionEnding, *delivered: Artifact, housed: bool = True, number: int = 9
) -> SessionEnded:
    """The session of a phase has ended; `housed`: it had a worktree, if it needs one."""
    made = session(
        phase, *delivered, ending=ending, number=number, spec=SPEC.get(phase, "spec"), looks=3
    )
    place = {Phase.REBASE: ANEW, Phase.CODING: WORKTREE, Phase.FIX: WORKTREE}.get(phase)
    changes = {"worktree": place if housed else None}
    return SessionEnded(result=made.result.model_copy(update=changes))


def follows(
    state: PipelineState, event: PipelineEvent, seen: Surroundings | None = None
) -> tuple[PipelineState, PipelineCommand]:
    """What an event leads to, when a look around shows this, or that all is as it was."""
    state, command = route(state, event)
    if isinstance(command, LookAround):
        seen = seen or Surroundings(base=state.base.at)
        state, command = route(state, LookedAround(surroundings=seen))
    return state, command


def said(command: PipelineCommand) -> str:
    """A command in a word or two."""
    match command:
        case RunSession(request=request):
            return request.phase
        case OpenGate(gate=gate):
            return f"gate {gate}"
        case End(ending=ending):
            return ending.value
        case _:
            return command.kind


# --- how sessions end ---------------------------------------------------------------------------

ENDINGS = (
    *("completed", "blocked", "stopped_early", "turn_limit", "token_limit", "cost_limit"),
    *("time_limit", "context_full", "refused", "failed", "killed"),
)
GRID = """
classify       again again  again again budget budget intent  again intent  intent  killed
discovery      again again  again again budget budget person  again person  person  killed
shaping        again again  again again budget budget person  again person  person  killed
investigation  again again  again again budget budget person  again person  person  killed
design         again again  again again budget budget person  again person  person  killed
coding         again again  again again budget budget again   again person  person  killed
rebase         again gate   again again budget budget again   again gate    gate    killed
review         again again  again again budget budget again   again person  person  killed
fix            again again  again again budget budget again   again person  person  killed
audit          again again  again again budget budget person  again person  person  killed
retrospective  stays stays  stays stays stays  stays  stays   stays stays   stays   stays
"""
"""By phase and ending, in the order above; completed means: without what the phase delivers."""
MEANS = {
    "budget": "out_of_budget",
    "intent": "gate intent",
    "person": "escalated",
    "gate": "gate conflict",
    "killed": "killed",
    "stays": "merged",
}
TABLE = {
    (Phase(row.split()[0]), SessionEnding(ending)): cell
    for row in GRID.strip().splitlines()
    for ending, cell in zip(ENDINGS, row.split()[1:], strict=True)
}
AFTER_TWO = {Phase.CLASSIFY: "gate intent", Phase.REBASE: "gate conflict"}
"""What follows a second failure, where it is not a person's note."""


def test_the_table_has_every_phase_that_has_a_session_and_every_ending() -> None:
    assert set(TABLE) == set(product(PHASES, SessionEnding))


@pytest.mark.parametrize("housed", [True, False], ids=["worktree", "no worktree"])
@pytest.mark.parametrize(("phase", "ending"), TABLE)
def test_every_ending_of_every_phase_without_its_artifact_leads_on(
    phase: Phase, ending: SessionEnding, housed: bool
) -> None:
    state, command = follows(at_work(phase), ended(phase, ending, housed=housed))
    cell = TABLE[phase, ending]
    assert said(command) == MEANS.get(cell, phase)
    assert state.records[-1].ending == ending
    assert state.artifacts == at_work(phase).artifacts
    if isinstance(command, RunSession):
        assert cell == "again"
        told = [one.body for one in command.request.sections]
        assert any(ADVICE[ending] in body for body in told)
        assert not state.hint
    if isinstance(command, End):
        assert command.why


@pytest.mark.parametrize(
    ("phase", "ending"), [pair for pair, cell in TABLE.items() if cell == "again"]
)
def test_no_phase_is_begun_a_third_time(phase: Phase, ending: SessionEnding) -> None:
    state, command = follows(at_work(phase), ended(phase, ending))
    assert isinstance(command, RunSession)
    state, command = follows(state, ended(phase, ending, number=10))
    assert said(command) == AFTER_TWO.get(phase, "escalated")


DELIVERED = {
    Phase.CLASSIFY: "shaping",
    Phase.DISCOVERY: "coding",
    Phase.SHAPING: "coding",
    Phase.INVESTIGATION: "coding",
    Phase.DESIGN: "coding",
    Phase.CODING: "commit_work",
    Phase.REBASE: "commit_work",
    Phase.REVIEW: "enter_lane",
    Phase.FIX: "commit_work",
    Phase.AUDIT: "enter_lane",
    Phase.RETROSPECTIVE: "merged",
}


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_that_delivered_leads_to_the_next(phase: Phase) -> None:
    event = ended(phase, SessionEnding.COMPLETED, DELIVERS[phase])
    state, command = follows(at_work(phase), event)
    assert said(command) == DELIVERED[phase]
    assert state.artifacts[-1] == DELIVERS[phase]


@pytest.mark.parametrize("phase", PHASES)
def test_only_the_artifact_of_its_phase_is_taken_from_a_session(phase: Phase) -> None:
    forged = tuple(DELIVERS.values())
    before = at_work(phase)
    state, _ = follows(before, ended(phase, SessionEnding.COMPLETED, *forged))
    taken = state.artifacts[len(before.artifacts) :]
    assert [one.kind for one in taken] == [DELIVERS[phase].kind]


@pytest.mark.parametrize("phase", [Phase.CODING, Phase.REBASE, Phase.FIX])
def test_a_change_that_nobody_can_commit_is_left_to_a_person(phase: Phase) -> None:
    event = ended(phase, SessionEnding.COMPLETED, DELIVERS[phase], housed=False)
    _, command = follows(at_work(phase), event)
    assert said(command) == "escalated"


def test_two_designs_are_two_artifacts() -> None:
    designs = tuple(
        Stage(phase=Phase.DESIGN, spec=spec, runs=True, why="it has both")
        for spec in ("ui-ux-design", "architecture-design")
    )
    both = way().model_copy(update={"stages": (*designs, STAGES[-1])})
    state = at_work(Phase.DESIGN, route=both)
    specs = []
    for number in (1, 2):
        event = ended(Phase.DESIGN, SessionEnding.COMPLETED, DELIVERS[Phase.DESIGN], number=number)
        state, command = follows(state, event)
        assert isinstance(command, RunSession)
        specs.append(command.request.spec)
    assert specs == ["architecture-design", "coding-task"]


def test_of_slices_that_ran_side_by_side_each_counts_although_one_failed() -> None:
    plans = [
        SlicePlan(id=name, title=name, goal="Do it.", files=(f"{name}.py",), check="It is there.")
        for name in ("S1", "S2")
    ]
    names = [f"task/w/t/coding-{plan.id.lower()}-1" for plan in plans]
    works = tuple(
        SliceWork(plan=plan, session=name) for plan, name in zip(plans, names, strict=True)
    )
    results = [
        ended(Phase.CODING, ending, *delivered).result
        for ending, delivered in (
            (SessionEnding.REFUSED, ()),
            (SessionEnding.COMPLETED, (DELIVERS[Phase.CODING],)),
        )
    ]
    placed = tuple(
        one.model_copy(
            update={
                "record": one.record.model_copy(update={"session": name}),
                "worktree": WORKTREE.model_copy(
                    update={"branch": f"worktrain/t-{plan.id.lower()}", "root": f"/{plan.id}"}
                ),
            }
        )
        for one, name, plan in zip(results, names, plans, strict=True)
    )
    before = at_work(Phase.CODING, slices=works)
    state, command = route(before, SessionsEnded(results=placed))
    assert said(command) == "escalated"
    assert [one.session for one in state.records[-2:]] == names
    assert state.cost_microdollars == 400
    assert [one.worktree and one.worktree.root for one in state.slices] == ["/S1", "/S2"]


# --- gates --------------------------------------------------------------------------------------

LOOKED = LookedAround(surroundings=Surroundings(base=BASE.at))
EDITED = Surroundings(base=BASE.at, task=Task(source="typed", title="Something else"))
FOREIGN = Surroundings(
    base=BASE.at, foreign=Foreign(head=ref("theirs"), by=("Ada <ada@example.invalid>",))
)
TODO = Mark(path="app/login.py", line=3, kind="todo", text="# TODO: the rest")
BROKEN = RuleBreak(rule="no-os", path="app/login.py", line=3, text="import os", why="")
UNMET = judged(criteria=[{**JUDGED, "met": "no"}])
UNSURE = artifact("wr.classification", interpretation="So?", interpretationConfidence="low")
FAILING = verification(check(P, F, tests=(("t::works",), ("t::other",))))
AUDITED = Audit(
    session="task/w/t/audit-1",
    at=ONE,
    report=artifact("wr.audit_report", verdict="not_ready", findings=[]),
)
AUDIT_RECORD = session(Phase.AUDIT, spec=AUDIT).result.record


class Opening(NamedTuple):
    """What brings a gate about, and what its approval leads to."""

    state: PipelineState
    event: PipelineEvent
    leads_to: str
    about: tuple[str, ...] = ()
    seen: Surroundings | None = None


def judging(**changes: Any) -> PipelineState:
    return ready(**{"in_lane": False, "looked": None, **changes})


GATES: dict[str, Opening] = {
    "intent": Opening(
        at_work(Phase.CLASSIFY),
        ended(Phase.CLASSIFY, SessionEnding.COMPLETED, UNSURE),
        "shaping",
    ),
    "task-edited": Opening(judging(), LookedAround(surroundings=EDITED), "enter_lane", seen=EDITED),
    "foreign-commits": Opening(
        judging(), LookedAround(surroundings=FOREIGN), "rebase", seen=FOREIGN
    ),
    "checks": Opening(
        judging(passes=3, looked=Surroundings(base=BASE.at)),
        Verified(verification=FAILING),
        "verify",
    ),
    "findings": Opening(judging(passes=3, reviews=(judged(WRONG),)), LOOKED, "enter_lane"),
    "rules": Opening(
        judging(examination=examination(breaks=(BROKEN,)), mended=("rules",)),
        LOOKED,
        "enter_lane",
        ("app/login.py:3 breaks the rule 'no-os': import os",),
    ),
    "criteria": Opening(
        judging(reviews=(UNMET,), mended=("criteria",)), LOOKED, "enter_lane", ("AC1",)
    ),
    "put-off": Opening(
        judging(examination=examination(marks=(TODO,)), mended=("put-off",)),
        LOOKED,
        "enter_lane",
        ("app/login.py:3 leaves something to do, and names no filed issue: # TODO: the rest",),
    ),
    "scope": Opening(
        judging(examination=examination("app/login.py", "lib/odd.py"), mended=("scope",)),
        LOOKED,
        "enter_lane",
        ("lib/odd.py",),
    ),
    "audit": Opening(
        judging(
            route=way(("audit", AUDIT)),
            records=(*ready().records, AUDIT_RECORD),
            audits=(AUDITED,),
        ),
        LOOKED,
        "enter_lane",
    ),
    "conflict": Opening(
        at_work(Phase.REBASE), ended(Phase.REBASE, SessionEnding.BLOCKED, housed=False), "rebase"
    ),
    "merge": Opening(judging(opened=opened(policy="ask")), LOOKED, "enter_lane"),
}
WAIVES = ("rules", "criteria", "put-off", "scope")
"""Gates whose approval is about names."""


def at_gate(gate: str) -> tuple[PipelineState, OpenGate]:
    state, command = follows(GATES[gate].state, GATES[gate].event)
    assert isinstance(command, OpenGate), command
    assert command.gate == gate
    return state, command


def answer(state: PipelineState, gate: OpenGate, **changes: Any) -> Decided:
    """A person's answer, as the workflow takes it."""
    said: dict[str, Any] = {
        "gate": gate.gate,
        "answer": "approved",
        "by": "ada",
        "reason": "So be it.",
        "tree": state.candidate.tree if state.candidate else None,
        "about": gate.about,
    }
    return Decided(decision=Decision.model_validate({**said, **changes}))


def test_every_gate_can_be_reached() -> None:
    assert set(GATES) == set(APPROVING)
    assert {gate for gate, opening in GATES.items() if opening.about} == set(WAIVES)


@pytest.mark.parametrize("gate", GATES)
def test_an_approval_leads_on_as_the_question_says(gate: str) -> None:
    state, asked = at_gate(gate)
    assert asked.about == GATES[gate].about
    after, command = follows(state, answer(state, asked), GATES[gate].seen)
    assert said(command) == GATES[gate].leads_to
    assert after.words == ("ada: So be it.",)
    assert after.decisions[-1].gate == gate


@pytest.mark.parametrize("gate", GATES)
def test_a_rejection_ends_at_every_gate_with_its_reason(gate: str) -> None:
    state, asked = at_gate(gate)
    after, command = route(state, answer(state, asked, answer="rejected", reason="Not now."))
    assert command == End(ending=PipelineEnding.REJECTED, why=f"ada rejected {gate!r}: Not now.")
    assert after.decisions[-1].answer == "rejected"


@pytest.mark.parametrize("gate", GATES)
def test_silence_is_never_a_yes(gate: str) -> None:
    state, _ = at_gate(gate)
    _, command = route(state, Unanswered(gate=gate))
    assert isinstance(command, End)
    assert command.ending is PipelineEnding.UNANSWERED
    assert f"nobody answered the question {gate!r}" in command.why


@pytest.mark.parametrize("gate", [gate for gate in GATES if gate not in ("intent", "conflict")])
def test_nobody_waits_in_the_lane_while_a_person_thinks(gate: str) -> None:
    opening = GATES[gate]
    queued = opening.state.model_copy(update={"in_lane": True})
    state, command = follows(queued, opening.event)
    assert said(command) == "leave_lane"
    _, command = follows(state, LaneLeft(), opening.seen)
    assert said(command) == f"gate {gate}"


@pytest.mark.parametrize("gate", [*WAIVES, "findings", "audit", "merge"])
def test_an_approval_for_another_tree_is_asked_for_again(gate: str) -> None:
    state, asked = at_gate(gate)
    _, command = follows(state, answer(state, asked, tree=ref("older").tree))
    assert said(command) == f"gate {gate}"


@pytest.mark.parametrize("gate", WAIVES)
def test_an_approval_of_something_else_is_asked_for_again(gate: str) -> None:
    state, asked = at_gate(gate)
    _, command = follows(state, answer(state, asked, about=("something else",)))
    assert said(command) == f"gate {gate}"


@pytest.mark.parametrize("gate", [*WAIVES, "checks", "findings"])
def test_what_a_fix_can_settle_is_tried_before_a_person_is_asked(gate: str) -> None:
    opening = GATES[gate]
    untried = opening.state.model_copy(update={"mended": (), "passes": 0})
    state, command = follows(untried, opening.event)
    assert said(command) == "fix"
    assert state.passes == 1


def test_commits_of_others_are_taken_in_and_judged_anew() -> None:
    state, asked = at_gate("foreign-commits")
    taking, command = follows(state, answer(state, asked), FOREIGN)
    assert isinstance(command, Rebase)
    assert command.request.onto == ref("theirs")
    after, _ = route(taking, Rebased(at=ref("on top")))
    assert after.candidate == ref("on top")
    assert (after.sealed, after.sealed_for) == ("", "")


def test_commits_of_others_that_conflict_with_ours_are_left_to_a_person() -> None:
    state, asked = at_gate("foreign-commits")
    taking, _ = follows(state, answer(state, asked), FOREIGN)
    after, _ = route(taking, Conflicted(files=("work.txt",)))
    assert after.end is not None
    assert after.end.ending is PipelineEnding.ESCALATED
    assert "conflict with what WorkTrain has there, in work.txt" in after.end.why


# --- whatever happens wherever ------------------------------------------------------------------


@dataclass
class Witness(World):
    """A world that remembers one state of each kind that it was asked in."""

    met: dict[str, PipelineState] = field(default_factory=dict)

    def _answered(self, state: PipelineState, command: PipelineCommand) -> PipelineEvent:
        stage = "ended" if state.end else "merged" if state.merged else "built"
        if state.candidate is None:
            stage = "unbuilt"
        joined = "" if not state.slices else ", joined" if state.joined else ", in slices"
        self.met.setdefault(f"{stage}{joined}: {said(command)}", state)
        return super()._answered(state, command)


def by_chance(dice: Random, calm: float) -> Choose:
    """Mostly what goes well; how mostly, `calm` says."""
    return lambda _, choices: choices[0] if dice.random() < calm else dice.choice(choices)


def reachable() -> dict[str, PipelineState]:
    """States that random worlds have led to, one of each kind; the same ones every time."""
    met: dict[str, PipelineState] = {}
    kinds = [kind for kind in PipelineKind if kind is not PipelineKind.SPEC]
    for number in range(400):
        dice = Random(number)
        plans = [
            {"id": name, "title": name, "goal": "Do.", "files": [name], "check": "There."}
            for name in ("S1", "S2")
        ]
        shaping = {"slices": plans if number % 2 else [], "filesInScope": ["*"]}
        witness = Witness(
            choose=by_chance(dice, calm=dice.choice([0.7, 0.85, 0.95])),
            config=opened(retrospective=True, policy=dice.choice(["auto", "ask"])).config,
            kind=kinds[number % len(kinds)],
            artifacts={"wr.shaping_handoff": shaping},
            met=met,
        )
        witness.play()
    return met


EVENTS: tuple[PipelineEvent, ...] = (
    Begun(),
    *(
        ended(phase, ending, *delivered)
        for phase in PHASES
        for ending, delivered in (
            (SessionEnding.COMPLETED, (DELIVERS[phase],)),
            (SessionEnding.COMPLETED, ()),
            (SessionEnding.FAILED, ()),
        )
    ),
    SessionsEnded(results=()),
    SessionsEnded(
        results=(ended(Phase.CODING, SessionEnding.COMPLETED, DELIVERS[Phase.CODING]).result,)
    ),
    LOOKED,
    LookedAround(surroundings=EDITED),
    LookedAround(surroundings=FOREIGN),
    LookedAround(surroundings=Surroundings(base=ref("moved"))),
    Examined(examination=examination()),
    LaneGranted(),
    LaneLeft(),
    Sealed(sealed=SealedProof(digest="d" * 64)),
    Sealed(sealed=SealedProof(broken=("a verdict is missing",))),
    Suspended(),
    *(Unanswered(gate=gate) for gate in APPROVING),
    Reverted(branch="worktrain/revert-t", at=ref("back"), where="here"),
    Posted(where="a note"),
    Committed(at=ref("new"), files=("app/login.py",)),
    NothingChanged(),
    Foreign(head=ref("theirs"), by=("Ada <ada@example.invalid>",)),
    Verified(verification=FAILING),
    *(Decided(decision=decision(gate)) for gate in APPROVING),
    *(Decided(decision=decision(gate, "rejected")) for gate in APPROVING),
    Rebased(at=ref("new")),
    Conflicted(files=("app/login.py",)),
    Conflicted(files=()),
    Merged(at=ref("new")),
    BaseMoved(now=ref("moved")),
    Proven(digest="d" * 64),
    StepFailed(failure=Failure(kind=FailureKind.INVALID, said="It failed.")),
    PipelineKilled(why="killed on request"),
)
REACHED = {
    **reachable(),
    **{f"at work: {phase}": at_work(phase) for phase in PHASES},
    **{f"at gate: {gate}": at_gate(gate)[0] for gate in GATES},
}
ALWAYS_TAKEN = ("pipeline_killed", "step_failed", "unanswered")
"""What may come at any time ends it, and is never out of order."""


def test_the_events_are_of_every_kind_and_the_states_of_many() -> None:
    union = get_args(get_args(PipelineEvent)[0])
    assert {one.kind for one in EVENTS} == {one.model_fields["kind"].default for one in union}
    asked = {name.partition(": ")[2] for name in REACHED}
    asked |= {f"gate {name}" for name in asked & {*GATES}}
    commands = {one.model_fields["kind"].default for one in get_args(get_args(PipelineCommand)[0])}
    sessions = {phase.value for phase in PHASES}
    gates = {f"gate {gate}" for gate in APPROVING}
    wanted = commands - {"run_session", "open_gate", "end", "post_review"} | sessions | gates
    assert wanted <= asked, sorted(wanted - asked)


@pytest.mark.parametrize("where", sorted(REACHED))
def test_every_event_is_taken_or_known_to_be_out_of_order(where: str) -> None:
    state = REACHED[where]
    for event in EVENTS:
        try:
            after, command = route(state, event)
        except AssertionError:
            assert event.kind not in ALWAYS_TAKEN, event
            continue
        assert isinstance(after, PipelineState)
        assert command.kind
        if isinstance(command, End):
            assert command.why


@pytest.mark.parametrize("where", sorted(REACHED))
def test_a_kill_ends_everything_and_never_hides_a_merge(where: str) -> None:
    state = REACHED[where]
    _, command = route(state, PipelineKilled(why="killed on request"))
    assert isinstance(command, End)
    wanted = PipelineEnding.MERGED if state.merged else PipelineEnding.KILLED
    assert command.ending is wanted
