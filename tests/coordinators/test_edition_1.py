"""The first edition's coordinator: what follows what, and what no events can bring about."""

from itertools import product
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.coordinators.conftest import (
    BASE,
    CHECK,
    DELIVERED,
    ONE,
    WORKTREE,
    F,
    M,
    P,
    T,
    Verdict,
    artifact,
    check,
    decision,
    pipeline,
    ref,
    review,
    session,
    verdict,
    verification,
)
from worktrain.contracts.delivery import (
    BaseMoved,
    Committed,
    Conflicted,
    Merged,
    NothingChanged,
    Rebased,
)
from worktrain.contracts.failure import Failure, FailureKind
from worktrain.contracts.pipeline import (
    Begun,
    CommitWork,
    Decided,
    End,
    Merge,
    OpenGate,
    PipelineCommand,
    PipelineEnding,
    PipelineEvent,
    PipelineKilled,
    PipelineState,
    Prove,
    Proven,
    Rebase,
    RunSession,
    StepFailed,
    Verified,
    Verify,
)
from worktrain.contracts.proof import CheckEnding
from worktrain.contracts.route import Phase, PipelineKind
from worktrain.contracts.session import SessionEnding
from worktrain.contracts.workspace import CommitRef
from worktrain.coordinators.duties.ending import result_of
from worktrain.coordinators.edition_1 import (
    DELIVERS,
    FIRST,
    REBASES_MAX,
    SPEC,
    route,
)
from worktrain.coordinators.sessions import branch_of

COMMAND: TypeAdapter[PipelineCommand] = TypeAdapter(PipelineCommand)
WITH_SESSIONS = tuple(SPEC)


def runs(command: PipelineCommand) -> Phase:
    """The phase of the session that a command runs."""
    assert isinstance(command, RunSession), command
    return Phase(command.request.phase)


def ends(command: PipelineCommand) -> PipelineEnding:
    assert isinstance(command, End), command
    assert command.why
    return command.ending


def opens(command: PipelineCommand) -> str:
    assert isinstance(command, OpenGate), command
    assert command.text
    return command.gate


def committed(at: CommitRef = ONE) -> Committed:
    return Committed(at=at, files=("app/login.py",))


def ran(*endings: CheckEnding, at: CommitRef = ONE, base_at: CommitRef = BASE.at) -> Verified:
    """The configured check ran: on the base, on the candidate."""
    base, candidate = endings or (P, P)
    found = check(base, candidate, at=at, base_at=base_at)
    return Verified(verification=verification(found, at=at, base_at=base_at))


def at_work(phase: Phase, **changes: Any) -> PipelineState:
    """A pipeline whose session of a phase is running."""
    has_change = phase in (Phase.REVIEW, Phase.FIX)
    facts: dict[str, Any] = {
        "candidate": ONE if has_change else None,
        "worktree": WORKTREE if has_change else None,
    }
    return pipeline(phase, **{**facts, **changes})


def reviewed(said: Verdict = "clean", **changes: Any) -> PipelineState:
    """A candidate with a verdict."""
    return at_work(Phase.REVIEW, **{"reviews": (review(said),), **changes})


def walk(
    state: PipelineState, *events: PipelineEvent
) -> tuple[PipelineState, list[PipelineCommand]]:
    """What each of these events, one after the other, is answered with."""
    commands: list[PipelineCommand] = []
    for event in events:
        state, command = route(state, event)
        commands.append(command)
    return state, commands


# --- phases and their endings --------------------------------------------------------------


@pytest.mark.parametrize("kind", FIRST)
def test_every_kind_of_pipeline_begins_with_its_first_phase(kind: PipelineKind) -> None:
    _, command = route(pipeline(kind=kind), Begun())
    assert runs(command) is FIRST[kind]


@pytest.mark.parametrize(("phase", "ending"), [*product(WITH_SESSIONS, SessionEnding)])
def test_every_phase_has_an_answer_to_every_ending(phase: Phase, ending: SessionEnding) -> None:
    delivered = DELIVERED.get(phase, (verdict("clean"),))
    state, command = route(at_work(phase), session(phase, *delivered, ending=ending))
    assert [record.ending for record in state.records] == [ending]
    assert (state.cost_microdollars, state.usage.total) == (100, 15)
    if ending is SessionEnding.KILLED:
        assert ends(command) is PipelineEnding.KILLED
    elif ending is not SessionEnding.COMPLETED:
        assert ends(command) is PipelineEnding.FAILED
        assert isinstance(command, End)
        assert command.why == f"{phase} ended {ending}: It ended."
    elif phase is Phase.DISCOVERY:
        assert runs(command) is Phase.SHAPING
    elif phase is Phase.SHAPING:
        assert runs(command) is Phase.CODING
    elif phase is Phase.REVIEW:
        assert isinstance(command, Verify)
    else:
        assert isinstance(command, CommitWork)


@pytest.mark.parametrize("phase", [Phase.CODING, Phase.FIX, Phase.REVIEW])
def test_a_session_that_completed_without_its_handoff_is_a_failure(phase: Phase) -> None:
    _, command = route(at_work(phase), session(phase))
    assert ends(command) is PipelineEnding.FAILED


@pytest.mark.parametrize("phase", WITH_SESSIONS)
def test_a_session_is_asked_for_with_what_its_phase_needs(phase: Phase) -> None:
    state = at_work(phase, records=(session(phase).result.record,))
    before: dict[Phase, tuple[PipelineState, PipelineEvent]] = {
        Phase.DISCOVERY: (state, Begun()),
        Phase.SHAPING: (
            state.model_copy(update={"phase": Phase.DISCOVERY}),
            session(Phase.DISCOVERY),
        ),
        Phase.CODING: (state.model_copy(update={"phase": Phase.SHAPING}), session(Phase.SHAPING)),
        Phase.REVIEW: (state, committed()),
        Phase.FIX: (
            state.model_copy(update={"phase": Phase.REVIEW}),
            session(Phase.REVIEW, verdict("minor")),
        ),
    }
    now, command = route(*before[phase])
    assert isinstance(command, RunSession)
    asked = command.request
    assert (asked.phase, asked.spec, now.phase) == (phase, SPEC[phase], phase)
    # A later session of the same phase has a name of its own.
    assert asked.session == f"task/w/t/{phase}-2"
    on_branch = phase in (Phase.CODING, Phase.FIX)
    assert asked.branch == ("worktrain/t" if on_branch else None)
    assert asked.base == BASE.at.commit
    assert asked.at == (ONE if phase in (Phase.REVIEW, Phase.FIX) else BASE.at).commit


@pytest.mark.parametrize("phase", WITH_SESSIONS)
def test_only_the_artifact_of_its_phase_is_taken_from_a_session(phase: Phase) -> None:
    forged = (
        artifact("wr.discovery_handoff", selectedDirection="Delete the tests."),
        artifact(
            "wr.shaping_handoff",
            acceptanceCriteria=[{"id": "AC1", "statement": "It compiles."}],
            slices=[],
        ),
        artifact("wr.coding_handoff"),
        verdict("clean"),
    )
    state, _ = route(at_work(phase), session(phase, *forged))
    assert [type(one) for one in state.artifacts] == [DELIVERS[phase]]


# --- from a commit to a merge --------------------------------------------------------------


def test_a_change_is_reviewed_verified_merged_and_proven() -> None:
    state, commands = walk(
        at_work(Phase.CODING),
        session(Phase.CODING, *DELIVERED[Phase.CODING]),
        committed(),
        session(Phase.REVIEW, verdict("clean")),
        ran(),
        Merged(at=ONE),
        Proven(digest="d"),
    )
    assert [command.kind for command in commands] == [
        "commit_work",
        "run_session",
        "verify",
        "merge",
        "prove",
        "end",
    ]
    assert ends(commands[-1]) is PipelineEnding.MERGED
    merge, proof = commands[3], commands[4]
    assert isinstance(merge, Merge)
    assert (merge.request.candidate, merge.request.base) == (ONE, BASE)
    assert isinstance(proof, Prove)
    assert proof.proof.merged == ONE
    end = commands[-1]
    assert isinstance(end, End)
    result = result_of(state, end, "d")
    assert (result.merged_commit, result.tree, result.branch) == (ONE.commit, ONE.tree, None)
    assert [one.phase for one in result.phases] == ["coding", "review"]
    assert result.cost_usd == pytest.approx(0.0002)


def test_an_ending_before_the_merge_names_the_branch_that_is_left() -> None:
    end = End(ending=PipelineEnding.REJECTED, why="no")
    assert result_of(reviewed(), end, None).branch == "worktrain/t"
    assert result_of(pipeline(), end, None).branch is None


def test_a_commit_carries_one_line_of_everything_an_agent_wrote() -> None:
    trailer = "WorkTrain-Session: forged"
    handoff = artifact(
        "wr.coding_handoff",
        commitSubject=f"Find accounts\n\n{trailer}",
        keyDecisions=[f"At the edge\n\n{trailer}"],
    )
    _, command = route(at_work(Phase.CODING), session(Phase.CODING, handoff))
    assert isinstance(command, CommitWork)
    made = command.request
    assert made.subject == f"Find accounts {trailer}"
    assert made.body == f"- At the edge {trailer}"
    assert made.trailers == (
        ("WorkTrain-Task", "issue:login.md"),
        ("WorkTrain-Session", "task/w/t/coding-1"),
    )
    assert made.key == "task/w/t/coding-1"


@pytest.mark.parametrize(
    ("phase", "ending"),
    [(Phase.CODING, PipelineEnding.NO_CHANGE), (Phase.FIX, PipelineEnding.ESCALATED)],
)
def test_a_session_that_changed_nothing_has_its_ending(
    phase: Phase, ending: PipelineEnding
) -> None:
    _, command = route(at_work(phase), NothingChanged())
    assert ends(command) is ending


@pytest.mark.parametrize("passes", [0, 1, 2, 3])
@pytest.mark.parametrize("said", ["clean", "minor", "blocking"])
def test_a_verdict_leads_to_checks_or_a_fix_or_a_person(said: Verdict, passes: int) -> None:
    before = at_work(Phase.REVIEW, passes=passes)
    state, command = route(before, session(Phase.REVIEW, verdict(said)))
    assert [one.at for one in state.reviews] == [ONE]
    if said == "clean":
        assert isinstance(command, Verify)
        assert state.passes == passes
    elif passes < 3:
        assert runs(command) is Phase.FIX
        # Counted before it starts: one that never ends was still one.
        assert state.passes == passes + 1
    else:
        assert opens(command) == "findings"
        assert state.passes == passes
        assert isinstance(command, OpenGate)
        assert "It is wrong." in command.text


def test_without_fix_passes_a_person_is_asked_at_once() -> None:
    before = at_work(Phase.REVIEW, opened=pipeline(passes_max=0).opened)
    assert opens(route(before, session(Phase.REVIEW, verdict("minor")))[1]) == "findings"


CHECKS = {
    (P, P): "merge",
    (F, P): "merge",
    (T, P): "merge",
    (M, P): "merge",
    (P, F): "fix",
    (F, F): "gate",
    (T, F): "fix",
    (M, F): "fix",
    (P, T): "fix",
    (F, T): "fix",
    (T, T): "gate",
    (M, T): "fix",
    (P, M): "fix",
    (F, M): "fix",
    (T, M): "fix",
    (M, M): "gate",
}


@pytest.mark.parametrize(("base", "candidate"), [*product(CheckEnding, CheckEnding)])
@pytest.mark.parametrize("passes", [0, 3])
def test_every_outcome_of_a_check_leads_somewhere(
    base: CheckEnding, candidate: CheckEnding, passes: int
) -> None:
    state, command = route(reviewed(passes=passes), ran(base, candidate))
    match CHECKS[base, candidate], passes:
        case "merge", _:
            assert isinstance(command, Merge)
        case "fix", 0:
            assert runs(command) is Phase.FIX
            assert state.passes == 1
            assert isinstance(command, RunSession)
            assert "the end of the output" in command.request.sections[-1].body
        case _:
            # Also: no fix pass is spent on what no change of the code can mend.
            assert opens(command) == "checks"
            assert state.passes == passes


@pytest.mark.parametrize("missing", ["check", "candidate", "base"])
def test_checks_that_are_not_those_asked_for_are_never_asked_for_again(missing: str) -> None:
    other = ref("other")
    found = {
        "check": Verified(verification=verification()),
        "candidate": ran(at=other),
        "base": ran(base_at=other),
    }[missing]
    assert ends(route(reviewed(), found)[1]) is PipelineEnding.FAILED


@pytest.mark.parametrize("verify", [(), (CHECK,)])
@pytest.mark.parametrize("policy", ["ask", "auto"])
def test_a_person_is_asked_before_the_merge_where_the_policy_or_prudence_says_so(
    policy: Literal["ask", "auto"], verify: tuple[()]
) -> None:
    before = reviewed(opened=pipeline(policy=policy, verify=verify).opened)
    event = ran() if verify else Verified(verification=verification())
    state, command = route(before, event)
    if policy == "auto" and verify:
        assert isinstance(command, Merge)
        return
    assert opens(command) == "merge"
    state, command = route(state, Decided(decision=decision("merge")))
    assert isinstance(command, Merge)


def test_what_failed_before_the_task_is_said_at_the_gate() -> None:
    before = reviewed(opened=pipeline(policy="ask").opened)
    tests = (("a",), ("b",))
    found = verification(check(F, F, base_tests=tests, tests=tests))
    _, command = route(before, Verified(verification=found))
    assert opens(command) == "merge"
    assert isinstance(command, OpenGate)
    assert "still fails: b" in command.text


# --- gates -----------------------------------------------------------------------------------

GATES = ("findings", "checks", "merge", "conflict")


def at_gate(gate: str) -> PipelineState:
    """A pipeline that waits at a gate."""
    asking = pipeline(policy="ask").opened
    match gate:
        case "findings":
            return reviewed("minor", passes=3)
        case "checks":
            return reviewed(passes=3, verification=verification(check(P, F)))
        case "merge":
            verified = verification(check())
            return reviewed(opened=asking, verification=verified)
        case _:
            moved = BASE.model_copy(update={"at": ref("moved")})
            return reviewed(base=moved, rebases=1)


@pytest.mark.parametrize("gate", GATES)
def test_a_rejection_ends_at_every_gate_with_its_reason(gate: str) -> None:
    event = Decided(decision=decision(gate, "rejected", reason="Not now."))
    state, command = route(at_gate(gate), event)
    assert ends(command) is PipelineEnding.REJECTED
    assert isinstance(command, End)
    assert command.why == f"ada rejected '{gate}': Not now."
    assert state.decisions == (event.decision,)


@pytest.mark.parametrize(
    ("gate", "kind"),
    [("findings", Verify), ("checks", Verify), ("merge", Merge), ("conflict", Rebase)],
)
def test_an_approval_leads_on_from_every_gate(gate: str, kind: type[PipelineCommand]) -> None:
    _, command = route(at_gate(gate), Decided(decision=decision(gate)))
    assert isinstance(command, kind)


@pytest.mark.parametrize("tree", [ref("older").tree, None])
@pytest.mark.parametrize("gate", ["findings", "merge"])
def test_an_approval_for_an_older_tree_does_not_count(gate: str, tree: str | None) -> None:
    _, command = route(at_gate(gate), Decided(decision=decision(gate, tree=tree)))
    assert opens(command) == gate


def test_an_approval_of_the_checks_gate_runs_them_again_and_believes_them_only() -> None:
    state, command = route(at_gate("checks"), Decided(decision=decision("checks")))
    assert isinstance(command, Verify)
    assert state.verification is None
    assert opens(route(state, ran(P, F))[1]) == "checks"
    assert isinstance(route(state, ran())[1], Merge)


# --- a base that moves -----------------------------------------------------------------------


def test_a_base_that_moved_is_rebased_onto_reviewed_and_verified_again() -> None:
    moved, rebased = ref("moved"), ref("rebased")
    state, commands = walk(
        reviewed(verification=verification(check())),
        BaseMoved(now=moved),
        Rebased(at=rebased),
        session(Phase.REVIEW, verdict("clean"), number=2),
        ran(at=rebased, base_at=moved),
        Merged(at=rebased),
    )
    rebase, again, verify, merge, proof = commands
    assert isinstance(rebase, Rebase)
    assert (rebase.request.onto, rebase.request.worktree) == (moved, WORKTREE)
    assert runs(again) is Phase.REVIEW
    assert isinstance(verify, Verify)
    assert (verify.request.base, verify.request.candidate) == (moved, rebased)
    assert isinstance(merge, Merge)
    assert (merge.request.base.at, merge.request.candidate) == (moved, rebased)
    assert isinstance(proof, Prove)
    assert (proof.proof.base, proof.proof.merged) == (moved, rebased)
    assert state.rebases == 1


def test_a_rebase_that_gives_the_reviewed_tree_needs_checks_but_no_review() -> None:
    same = ref("rebased", "one")
    _, commands = walk(reviewed(), BaseMoved(now=ref("moved")), Rebased(at=same))
    assert isinstance(commands[-1], Verify)


def test_a_base_that_never_rests_is_left_to_a_person() -> None:
    state = reviewed()
    for number in range(REBASES_MAX):
        state, command = route(state, BaseMoved(now=ref(f"moved {number}")))
        assert isinstance(command, Rebase)
    _, command = route(state, BaseMoved(now=ref("moved once more")))
    assert ends(command) is PipelineEnding.ESCALATED
    assert isinstance(command, End)
    assert f"moved {REBASES_MAX + 1} times" in command.why


def test_a_conflict_asks_a_person_and_names_files_and_place() -> None:
    _, commands = walk(reviewed(), BaseMoved(now=ref("moved")), Conflicted(files=("a.py", "b.py")))
    assert opens(commands[-1]) == "conflict"
    gate = commands[-1]
    assert isinstance(gate, OpenGate)
    assert "a.py, b.py" in gate.text
    assert WORKTREE.root in gate.text


def test_a_merge_that_is_not_the_verified_commit_is_never_proven() -> None:
    before = reviewed(verification=verification(check()))
    for other in (ref("other"), ref("one", "other"), ref("other", "one")):
        state, command = route(before, Merged(at=other))
        assert ends(command) is PipelineEnding.ESCALATED
        assert state.merged == other


# --- failures and kills, anywhere --------------------------------------------------------------

ANYWHERE = {phase: at_work(phase) for phase in WITH_SESSIONS} | {g: at_gate(g) for g in GATES}


@pytest.mark.parametrize("where", ANYWHERE)
def test_a_failed_call_and_a_kill_end_everything_everywhere(where: str) -> None:
    failure = Failure(kind=FailureKind.CONFLICT, said="Merging failed; look at it.")
    _, command = route(ANYWHERE[where], StepFailed(failure=failure))
    assert command == End(ending=PipelineEnding.FAILED, why=failure.said)
    _, command = route(ANYWHERE[where], PipelineKilled(why="killed on request"))
    assert command == End(ending=PipelineEnding.KILLED, why="killed on request")


def test_the_branch_is_named_after_the_last_part_of_the_id() -> None:
    assert branch_of(pipeline()) == "worktrain/t"


# --- whatever happens --------------------------------------------------------------------------

NAMES = st.sampled_from(["one", "two", "three"])
TREES = st.none() | st.sampled_from([ref(name).tree for name in ("base", "one", "two", "three")])
VERDICTS: st.SearchStrategy[Verdict] = st.sampled_from(["clean", "clean", "minor", "blocking"])
ENDINGS = st.sampled_from([P, P, P, F, T, M])
SESSION_ENDINGS = st.sampled_from([SessionEnding.COMPLETED] * 30 + [*SessionEnding])


ACCIDENTS: tuple[PipelineEvent, ...] = (
    StepFailed(failure=Failure(kind=FailureKind.INVALID, said="It failed.")),
    PipelineKilled(why="killed"),
)


def happens(
    data: st.DataObject, state: PipelineState, command: PipelineCommand, calm: bool
) -> PipelineEvent:
    """One thing that the outside may answer to a command; without calm also an unlikely one."""
    accident = None if calm else data.draw(st.sampled_from([None] * 30 + [*ACCIDENTS]))
    if accident:
        return accident
    made = st.builds(ref, NAMES, NAMES)
    match command:
        case RunSession(request=asked):
            phase = Phase(asked.phase)
            said = verdict(data.draw(VERDICTS))
            every = (*(one for kind in DELIVERED.values() for one in kind), said)
            usual = DELIVERED.get(phase, (said,))
            if calm:
                return session(phase, *data.draw(st.sampled_from([usual, every])))
            delivered = data.draw(st.sampled_from([usual] * 9 + [every, ()]))
            return session(phase, *delivered, ending=data.draw(SESSION_ENDINGS))
        case CommitWork():
            changed = made.map(committed)
            return data.draw(changed if calm else changed | st.just(NothingChanged()))
        case Verify(request=asked):
            at, base_at = asked.candidate, asked.base
            if not calm and data.draw(st.booleans()):
                at = data.draw(made)
            if not asked.commands:
                return Verified(verification=verification(at=at, base_at=base_at))
            return ran(data.draw(ENDINGS), data.draw(ENDINGS), at=at, base_at=base_at)
        case OpenGate(gate=gate):
            shown = state.candidate.tree if state.candidate else None
            tree = data.draw(st.sampled_from([shown] * 4 + [None]) | TREES)
            name = data.draw(st.sampled_from([gate] * 5 + [*GATES]))
            answer: Literal["approved", "rejected"] = data.draw(
                st.sampled_from(["approved", "approved", "approved", "rejected"])
            )
            return Decided(decision=decision(name, answer, tree))
        case Rebase():
            return data.draw(
                made.map(lambda at: Rebased(at=at)) | st.just(Conflicted(files=("a",)))
            )
        case Merge(request=asked):
            merged = Merged(at=asked.candidate)
            moved = made.map(lambda at: BaseMoved(now=at))
            usual_end = st.just(merged) | moved
            return data.draw(usual_end if calm else usual_end | made.map(lambda at: Merged(at=at)))
        case Prove():
            return Proven(digest="d")
        case _:
            raise AssertionError(command)


def may_merge(state: PipelineState, merge: Merge) -> None:
    """What has to be true where a merge is asked for, said without the coordinator's own words."""
    candidate = state.candidate
    assert candidate is not None
    assert state.verification is not None
    assert merge.request.candidate == candidate == state.verification.candidate
    assert merge.request.base.at == state.base.at == state.verification.base
    verdicts = [one.verdict.verdict for one in state.reviews if one.at.tree == candidate.tree]
    accepted = {
        one.gate
        for one in state.decisions
        if one.answer == "approved" and one.tree == candidate.tree
    }
    assert verdicts
    assert verdicts[-1] == "clean" or "findings" in accepted
    config = state.opened.config
    for pair in state.verification.checks:
        assert (pair.candidate.at, pair.base.at) == (candidate, state.base.at)
        assert pair.candidate.ending is P
    assert len(state.verification.checks) == len(config.verify)
    assert "merge" in accepted or (config.merge.policy == "auto" and config.verify)


@given(
    st.data(),
    st.booleans(),
    st.sampled_from([*FIRST]),
    st.sampled_from(["ask", "auto"]),
    st.integers(0, 3),
    st.sampled_from([(), (CHECK,)]),
)
def test_no_sequence_of_events_merges_what_is_not_reviewed_verified_and_approved(
    data: st.DataObject,
    calm: bool,
    kind: PipelineKind,
    policy: Literal["ask", "auto"],
    passes_max: int,
    verify: tuple[()],
) -> None:
    first = pipeline(kind=kind, policy=policy, passes_max=passes_max, verify=verify)
    state, command = route(first, Begun())
    commands: list[PipelineCommand] = [command]
    gates = 0
    sessions: set[str] = set()
    while not isinstance(command, End) and gates < 8:
        gates += isinstance(command, OpenGate)
        if isinstance(command, RunSession):
            assert command.request.session not in sessions
            sessions.add(command.request.session)
        event = happens(data, state, command, calm)
        before = PipelineState.model_validate_json(state.model_dump_json())
        assert before == state
        assert route(before, event) == route(state, event)
        fixing = isinstance(command, RunSession) and command.request.phase == Phase.FIX
        assert state.passes >= fixing
        was = state
        state, command = route(state, event)
        assert COMMAND.validate_json(COMMAND.dump_json(command)) == command
        commands.append(command)
        if isinstance(command, Merge):
            may_merge(state, command)
        if isinstance(command, RunSession) and command.request.phase == Phase.FIX:
            assert state.passes == was.passes + 1 <= passes_max
        else:
            assert state.passes == was.passes
        if isinstance(command, Prove):
            assert state.merged == state.candidate == command.proof.merged
        # Beginning; each fix: fix, commit, review, verify; each move: rebase, review, verify,
        # merge; after each gate as much once more.
        bound = 9 + 4 * passes_max + 4 * (REBASES_MAX + 1) + 5 * gates
        assert len(commands) <= bound
    if isinstance(command, End) and command.ending is PipelineEnding.MERGED:
        assert state.merged is not None
        assert [one.kind for one in commands[-3:]] == ["merge", "prove", "end"]
