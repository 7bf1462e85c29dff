"""Questions to people: until when an answer is waited for, and what is said below them."""

from typing import get_args

import pytest

from tests.coordinators.conftest import CLASS, opened, ready
from worktrain.contracts.route import TaskClass
from worktrain.coordinators.gates import APPROVING, PATIENCE, WITH_A_REASON, asked

HOUR_S = 3600


@pytest.mark.parametrize(
    ("risk", "hours"), [("Low", 72), ("Medium", 72), ("High", 36), ("Critical", 24)]
)
def test_the_riskier_the_task_the_sooner_the_work_ends_unanswered(risk: str, hours: float) -> None:
    state = ready(classified=CLASS.model_copy(update={"risk": risk}))
    assert asked(state, "merge", "Merge it?").deadline_s == hours * HOUR_S


def test_every_risk_has_its_patience_and_none_waits_for_ever() -> None:
    assert set(PATIENCE) == set(get_args(TaskClass.model_fields["risk"].annotation))
    assert all(0 < share <= 1 for share in PATIENCE.values())


def test_the_workspace_says_how_long_and_an_unknown_risk_is_a_medium_one() -> None:
    assert asked(ready(opened=opened(answer_hours=2)), "merge", "?").deadline_s == 2 * HOUR_S
    assert asked(ready(classified=None), "intent", "?").deadline_s == 72 * HOUR_S


@pytest.mark.parametrize("gate", APPROVING)
def test_a_question_says_what_both_answers_mean(gate: str) -> None:
    found = asked(ready(), gate, "What now?", ("a", "b"))
    assert (found.gate, found.about) == (gate, ("a", "b"))
    first, _, rest = found.text.partition("\n")
    assert first == "What now?"
    assert "pprove" in rest
    assert "eject" in rest


@pytest.mark.parametrize("gate", APPROVING)
def test_whoever_waives_something_has_to_say_why(gate: str) -> None:
    waives = gate in {"findings", "rules", "criteria", "put-off", "scope", "audit"}
    assert asked(ready(), gate, "?").reason_wanted is waives
    assert ("saying why" in APPROVING[gate]) is waives


def test_no_reason_is_wanted_at_a_gate_that_does_not_exist() -> None:
    assert set(APPROVING) > WITH_A_REASON
    with pytest.raises(KeyError):
        asked(ready(), "no-such-gate", "?")
