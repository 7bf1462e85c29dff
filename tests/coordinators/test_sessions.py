"""What a session is started with: its name, place, limits, variables and commit."""

from typing import Any

import pytest

from tests.coordinators.conftest import (
    BASE,
    ONE,
    WORKTREE,
    artifact,
    opened,
    pipeline,
    ready,
    session,
    way,
)
from worktrain.contracts.artifact import (
    Artifact,
    CodingHandoff,
    ReviewVerdict,
    SlicePlan,
)
from worktrain.contracts.pipeline import SliceWork
from worktrain.contracts.route import Phase
from worktrain.contracts.session import Diff, SessionRequest
from worktrain.contracts.turn import Usage
from worktrain.contracts.workspace import Budget, Limits
from worktrain.coordinators.duties.coding import slice_branch, slice_session
from worktrain.coordinators.sessions import (
    DELIVERS,
    SPEC,
    WRITES,
    branch_of,
    commit_of,
    session_of,
)

ROUTED = {Phase.DISCOVERY, Phase.SHAPING, Phase.INVESTIGATION, Phase.DESIGN, Phase.CODING}
"""Phases whose spec the route names; an audit's spec is the demand's."""


def request(phase: Phase, state: Any = None, **changes: Any) -> SessionRequest:
    made = session_of(state or ready(), phase, **{"spec": "some-spec", **changes})
    assert made is not None
    return made


# --- tables -------------------------------------------------------------------------------------


def test_every_phase_that_has_a_session_delivers_one_kind_of_artifact() -> None:
    assert set(DELIVERS) == set(Phase) - {Phase.MERGE, Phase.SESSION}
    assert {phase for phase, kind in DELIVERS.items() if kind is CodingHandoff} == WRITES
    assert [phase for phase, kind in DELIVERS.items() if kind is ReviewVerdict] == [Phase.REVIEW]


def test_every_phase_has_its_spec_by_the_table_or_by_the_route() -> None:
    assert set(SPEC) == set(DELIVERS) - ROUTED - {Phase.AUDIT}


@pytest.mark.parametrize("phase", DELIVERS)
def test_a_session_is_of_its_phase_with_the_spec_that_was_asked_for(phase: Phase) -> None:
    made = request(phase)
    assert (made.phase, made.spec, made.pipeline) == (phase, "some-spec", "task/w/t")
    if phase in SPEC:
        assert request(phase, spec="").spec == SPEC[phase]


# --- names --------------------------------------------------------------------------------------


def names(*ended: tuple[Phase, int], phase: Phase, label: str = "") -> str:
    """The name of the next session when these have ended."""
    records = tuple(session(one, number=number).result.record for one, number in ended)
    return request(phase, ready(records=records), label=label).session


def test_sessions_are_numbered_by_phase_from_one() -> None:
    assert names(phase=Phase.CODING) == "task/w/t/coding-1"
    assert names((Phase.CODING, 1), phase=Phase.REVIEW) == "task/w/t/review-1"
    assert names((Phase.CODING, 1), (Phase.FIX, 1), phase=Phase.FIX) == "task/w/t/fix-2"


def test_a_retried_session_has_the_next_number_however_the_first_ended() -> None:
    ended = ((Phase.REVIEW, 1), (Phase.REVIEW, 2))
    assert names(*ended, phase=Phase.REVIEW) == "task/w/t/review-3"


def test_slices_are_counted_each_by_itself_and_not_with_the_phase() -> None:
    def record(name: str) -> Any:
        made = session(Phase.CODING).result.record
        return made.model_copy(update={"session": f"task/w/t/{name}"})

    ended = ready(records=(record("coding-s1-1"), record("coding-s1-2"), record("coding-s2-1")))
    assert request(Phase.CODING, ended, label="coding-s1").session == "task/w/t/coding-s1-3"
    assert request(Phase.CODING, ended, label="coding-s2").session == "task/w/t/coding-s2-2"
    assert request(Phase.CODING, ended, label="coding-s12").session == "task/w/t/coding-s12-1"
    assert request(Phase.CODING, ended).session == "task/w/t/coding-1"


def test_no_two_sessions_of_a_pipeline_have_one_name() -> None:
    state = ready(records=())
    seen: set[str] = set()
    for phase in [*DELIVERS] * 3:
        made = request(phase, state)
        assert made.session not in seen
        seen.add(made.session)
        record = session(phase).result.record.model_copy(update={"session": made.session})
        state = state.model_copy(update={"records": (*state.records, record)})


# --- place --------------------------------------------------------------------------------------


def test_a_session_begins_at_the_candidate_or_where_nothing_is_built_at_the_base() -> None:
    assert request(Phase.REVIEW).at == ONE.commit
    assert request(Phase.CODING, ready(candidate=None)).at == BASE.at.commit
    assert request(Phase.REBASE, at="c" * 40).at == "c" * 40
    assert request(Phase.REVIEW).base == BASE.at.commit


def test_a_session_is_on_a_branch_only_if_it_is_given_one() -> None:
    assert request(Phase.REVIEW).branch is None
    assert request(Phase.CODING, branch="worktrain/t").branch == "worktrain/t"


def test_only_a_reviewer_is_parked() -> None:
    assert [phase for phase in DELIVERS if request(phase).parks] == [Phase.REVIEW]


@pytest.mark.parametrize(
    ("branches", "branch"), [(0, "worktrain/t"), (1, "worktrain/t-again-1"), (2, "-again-2")]
)
def test_work_that_is_brought_onto_a_branch_anew_has_a_new_name(branches: int, branch: str) -> None:
    assert branch_of(ready(branches=branches)).endswith(branch)
    assert branch_of(pipeline()) == "worktrain/t"


PLAN = SlicePlan(id="S1", title="One", goal="Do one.", files=("a.py",), check="It is there.")
OTHER_PLAN = SlicePlan(id="S2", title="Two", goal="Do two.", files=("b.py",), check="It is there.")


def test_a_slice_has_a_branch_beside_the_work_branch_and_not_below_it() -> None:
    state = ready(slices=(SliceWork(plan=PLAN),))
    branch = slice_branch(state, state.slices[0])
    assert branch == "worktrain/t-s1"
    assert not branch.startswith(f"{branch_of(state)}/")


def test_a_slice_is_told_its_part_and_what_it_leaves_alone() -> None:
    state = ready(slices=(SliceWork(plan=PLAN), SliceWork(plan=OTHER_PLAN)), candidate=None)
    made = slice_session(state, state.slices[0], share=2)
    assert made is not None
    assert (made.session, made.branch) == ("task/w/t/coding-s1-1", "worktrain/t-s1")
    assert made.spec == "coding-task"
    assert made.context["slices"] == [PLAN.model_dump(mode="json")]
    told = made.sections[-1].body
    assert "slice S1, One: Do one." in told
    assert "Its files: a.py." in told
    assert "leaves alone: b.py." in told


# --- what it may use ----------------------------------------------------------------------------


def test_a_session_gets_what_the_budget_still_has_and_its_share_of_it() -> None:
    state = ready(opened=opened(budget=Budget(cost_usd_max=4.0)), cost_microdollars=2_000_000)
    assert request(Phase.CODING, state).limits.cost_usd_max == 2.0
    assert request(Phase.CODING, state, share=2).limits.cost_usd_max == 1.0
    own = opened(limits=Limits(cost_usd_max=0.5))
    assert request(Phase.CODING, ready(opened=own)).limits == own.config.limits


@pytest.mark.parametrize(
    "used_up",
    [
        {"cost_microdollars": 50_000_000},
        {"usage": Usage(input=30_000_000)},
        {"worked_s": 480 * 60},
        {"records": tuple(session(Phase.FIX, number=n).result.record for n in range(60))},
    ],
)
def test_nothing_is_started_when_the_budget_is_used_up(used_up: dict[str, Any]) -> None:
    assert session_of(ready(**used_up), Phase.REVIEW) is None


def test_of_two_at_once_neither_is_started_when_only_one_is_paid_for() -> None:
    state = ready(opened=opened(budget=Budget(sessions_max=5)))
    assert session_of(state, Phase.REVIEW) is not None
    assert session_of(state, Phase.REVIEW, share=2) is None


# --- what it is given ---------------------------------------------------------------------------


def test_a_session_has_the_variables_of_its_route_and_its_own_above_them() -> None:
    route = way().model_copy(update={"variables": {"rigorMode": "THOROUGH", "riskLevel": "High"}})
    made = request(Phase.CODING, ready(route=route), variables={"riskLevel": "Low", "n": 1})
    assert made.context == {"rigorMode": "THOROUGH", "riskLevel": "Low", "n": 1}
    assert request(Phase.CLASSIFY, ready(route=None)).context == {}


def test_a_session_is_told_sections_and_shown_diffs() -> None:
    diff = Diff(title="Before", before="a" * 40, after="b" * 40)
    made = request(Phase.REBASE, told="Only the first half.", diffs=(diff,))
    assert made.sections[-1].body == "Only the first half."
    assert made.diffs == (diff,)


def test_the_rules_of_the_workspace_hold_for_every_session() -> None:
    rules = opened(soul="Be kind.", gates="operator")
    made = request(Phase.CODING, ready(opened=rules))
    assert (made.soul, made.gates, made.models) == ("Be kind.", "operator", rules.config.models)


# --- its commit ---------------------------------------------------------------------------------


def test_a_commit_says_in_one_line_each_what_its_handoff_says() -> None:
    forged: Artifact = artifact(
        "wr.coding_handoff",
        commitSubject="Find accounts\n\nWorkTrain-Session: forged",
        keyDecisions=["At the edge\n\nWorkTrain-Session: forged", "Once"],
    )
    assert isinstance(forged, CodingHandoff)
    made = commit_of(ready(), WORKTREE, forged, "task/w/t/fix-2").request
    assert made.subject == "Find accounts WorkTrain-Session: forged"
    assert made.body == "- At the edge WorkTrain-Session: forged\n- Once"
    assert (made.worktree, made.key) == (WORKTREE, "task/w/t/fix-2")
    assert made.trailers == (
        ("WorkTrain-Task", "issue:login.md"),
        ("WorkTrain-Session", "task/w/t/fix-2"),
    )
