"""Every delivery comes to a named ending, and nothing is merged that the policy forbids."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.coordinators.conftest import CHECK
from tests.coordinators.world import World, first
from worktrain.contracts.pipeline import PipelineEnding
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.workspace import MergeRules, ReviewRules, WorkspaceConfig

AUTO = WorkspaceConfig(verify=(CHECK,), merge=MergeRules(policy="auto"))
KINDS = [kind for kind in PipelineKind if kind is not PipelineKind.SPEC]
SLICES = [
    {"id": "S1", "title": "One", "goal": "Do one.", "files": ["a.py"], "check": "It is there."},
    {"id": "S2", "title": "Two", "goal": "Do two.", "files": ["b.py"], "check": "It is there."},
    {
        "id": "S3",
        "title": "Three",
        "goal": "Do three.",
        "files": ["c.py"],
        "check": "It is there.",
        "dependsOn": ["S1"],
    },
]


@given(data=st.data())
@settings(max_examples=250, deadline=None)
def test_whatever_happens_a_merge_is_one_that_the_policy_allows(data: st.DataObject) -> None:
    sliced = data.draw(st.booleans(), "sliced")
    shaped = {"slices": SLICES, "filesInScope": ["*"]} if sliced else {"slices": []}
    world = World(
        choose=lambda name, choices: data.draw(st.sampled_from(choices), name),
        config=WorkspaceConfig(
            verify=(CHECK,),
            merge=MergeRules(
                policy=data.draw(st.sampled_from(["auto", "ask"])),
                passes_max=data.draw(st.integers(0, 3)),
            ),
            review=ReviewRules(post=data.draw(st.booleans()), fix=data.draw(st.booleans())),
            retrospective=data.draw(st.booleans()),
        ),
        kind=data.draw(st.sampled_from(KINDS)),
        artifacts={"wr.shaping_handoff": shaped},
    )
    end = world.play()
    assert end.ending in set(PipelineEnding)
    assert end.why
    if end.ending is PipelineEnding.MERGED:
        assert "merge" in world.commands()


@pytest.mark.parametrize("kind", KINDS)
def test_when_all_goes_well_every_kind_reaches_its_good_end(kind: PipelineKind) -> None:
    world = World(config=AUTO, kind=kind, artifacts=_met())
    end = world.play()
    good = PipelineEnding.COMPLETED if kind is PipelineKind.REVIEW else PipelineEnding.MERGED
    assert end.ending is good, (end, world.commands())
    assert not world.gates()


def test_a_quick_task_takes_the_phases_of_the_table() -> None:
    world = World(config=AUTO)
    assert world.play().ending is PipelineEnding.MERGED
    assert world.phases() == ["classify", "coding", "review", "retrospective"]
    assert world.commands() == [
        *("run_session", "look_around", "run_session", "commit_work", "look_around", "examine"),
        *("verify", "run_session", "look_around", "enter_lane", "look_around", "seal", "merge"),
        *("prove", "look_around", "verify", "leave_lane", "run_session"),
    ]


def test_independent_slices_are_coded_side_by_side_and_joined_one_by_one() -> None:
    world = World(
        config=AUTO,
        kind=PipelineKind.FEATURE,
        artifacts=_met(slices=SLICES),
    )
    end = world.play()
    assert end.ending is PipelineEnding.MERGED, (end, world.commands())
    begun = [command for command, _ in world.said if command.kind == "run_sessions"]
    names = [[one.session.rpartition("/")[2] for one in wave.requests] for wave in begun]
    assert names == [["coding-s1-1", "coding-s2-1"], ["coding-s3-1"]]
    # Two joined, verified, one more joined, verified; the fourth moves the work branch.
    assert world.commands().count("rebase") == 4
    assert world.commands().count("verify") == 4


def test_a_critical_finding_that_survives_its_fix_brings_others_and_a_person() -> None:
    said = iter(["critical", "critical", "critical", None])
    world = World(config=AUTO, choose=_but(verdict=lambda choices: _severity(choices, said)))
    end = world.play()
    assert end.ending is PipelineEnding.MERGED, (end, world.commands())
    # The fresh reviewer's own finding is audited, mended, and then a person is asked.
    assert world.phases().count("review") == 2
    assert "audit" in world.phases()
    assert world.gates() == ["merge"]


def test_a_false_alarm_is_cleared_by_the_second_reviewer_but_merged_by_a_person() -> None:
    said = iter(["critical", "critical", None])
    world = World(config=AUTO, choose=_but(verdict=lambda choices: _severity(choices, said)))
    assert world.play().ending is PipelineEnding.MERGED
    assert "audit" not in world.phases()
    assert world.gates() == ["merge"]


def test_a_finding_that_its_fixer_contests_is_decided_by_somebody_else() -> None:
    said = iter(["critical", None])
    commits = iter(["committed"])
    contested = {"finding": "F1", "outcome": "invalid", "evidence": "It was run, and it holds."}
    world = World(
        config=AUTO,
        artifacts={"wr.coding_handoff": {"dispositions": [contested]}},
        choose=_but(
            verdict=lambda choices: _severity(choices, said),
            commit=lambda _: next(commits, "nothing"),
        ),
    )
    assert world.play().ending is PipelineEnding.MERGED
    assert world.phases().count("review") == 2
    assert world.state is not None
    assert [entry.standing for entry in world.state.ledger.entries] == ["invalid"]
    # What was critical once is not merged without a person.
    assert world.gates() == ["merge"]


def test_passes_are_counted_before_they_start() -> None:
    claims = iter(["The sum is wrong.", "The unit is missing.", "No test.", "The sum is wrong."])
    said = iter(["major", "minor", "nit", "nit"])
    world = World(
        config=AUTO.model_copy(update={"merge": MergeRules(policy="auto", passes_max=2)}),
        choose=_but(verdict=lambda choices: _severity(choices, said), claim=lambda _: next(claims)),
    )
    world.play()
    assert world.passes == 2
    assert world.gates() == ["findings"]


def test_commits_of_others_that_a_commit_meets_are_asked_about_before_it_is_tried_again() -> None:
    said = iter(["major", None])
    outcomes = iter(["committed", "foreign", "committed"])
    world = World(
        config=AUTO,
        choose=_but(
            verdict=lambda choices: _severity(choices, said), commit=lambda _: next(outcomes)
        ),
    )
    assert world.play().ending is PipelineEnding.MERGED
    assert world.gates() == ["foreign-commits"]
    at = world.commands().index("open_gate")
    assert world.commands()[at - 1 : at + 2] == ["commit_work", "open_gate", "commit_work"]


def test_nobody_is_asked_about_an_edit_of_a_task_that_is_merged_already() -> None:
    world = World(config=AUTO)
    world.choose = _but(look=lambda _: "edited" if "merge" in world.commands() else "same")
    assert world.play().ending is PipelineEnding.MERGED
    assert world.gates() == []


def _but(**others: Any) -> Any:
    """Everything goes well but what is named."""
    return lambda name, choices: others[name](choices) if name in others else first(name, choices)


def _severity(choices: Any, said: Any) -> Any:
    wanted = next(said)
    return next(one for one in choices if one == wanted)


def _met(**shaping: Any) -> dict[str, Any]:
    """Handoffs whose criteria are covered by what this world changes."""
    met = [
        {"criterion": f"AC{n}", "evidence": "Ran it.", "code": ["work.txt"], "tests": ["t::works"]}
        for n in (1, 2)
    ]
    shaping = {
        "acceptanceCriteria": [{"id": "AC1", "statement": "It works."}],
        "slices": [],
        "filesInScope": ["*"],
        **shaping,
    }
    investigation = {"severity": "major", "confidence": "high"}
    return {
        "wr.coding_handoff": {"criteria": met},
        "wr.shaping_handoff": shaping,
        "wr.investigation": investigation,
    }
