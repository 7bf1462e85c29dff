"""The bundled specs: each compiles, and delivers what the coordinator takes from its phase."""

import pytest

from tests.specs.library import (
    AROUND,
    LIBRARY,
    ROUTINES,
    SESSIONS,
    WORDS,
    compiled,
    run_with,
    usual,
    walked,
)
from worktrain.contracts.artifact import AssessmentReport, LoopControl
from worktrain.contracts.plan import PlanStep
from worktrain.contracts.route import Phase
from worktrain.contracts.spec import Spec
from worktrain.coordinators.sessions import DELIVERS, SPEC
from worktrain.engine import conditions, templates
from worktrain.engine.compile import compile_spec
from worktrain.engine.contracts_check import ARTIFACTS
from worktrain.engine.inspect import faults
from worktrain.engine.simulate import simulate

PROMPT_CHARACTERS_MAX = 16_000
"""A step's prompt with its schema and example; it is resent with every turn."""
STEERING = (LoopControl, AssessmentReport)
PHASES: tuple[tuple[str, Phase], ...] = (
    ("classify-task", Phase.CLASSIFY),
    ("discovery", Phase.DISCOVERY),
    ("shaping", Phase.SHAPING),
    ("bug-investigation", Phase.INVESTIGATION),
    ("ui-ux-design", Phase.DESIGN),
    ("architecture-design", Phase.DESIGN),
    ("coding-task", Phase.CODING),
    ("quick-task", Phase.CODING),
    ("rebase", Phase.REBASE),
    ("review", Phase.REVIEW),
    ("fix", Phase.FIX),
    ("production-readiness-audit", Phase.AUDIT),
    ("architecture-audit", Phase.AUDIT),
    ("security-audit", Phase.AUDIT),
    ("look-back", Phase.RETROSPECTIVE),
)
"""Each spec that a phase may follow."""
PLAIN = (
    *("classify-task", "discovery", "shaping", "coding-task", "rebase", "review", "fix"),
    "look-back",
)
"""Specs of phases whose usual path is a step or two."""
TAGS = (
    *("coding", "review_audit", "investigation", "design", "documentation", "tickets"),
    *("routines", "authoring", "operations"),
)


def test_the_specs_of_the_phases_are_among_them() -> None:
    assert {name for name, _ in PHASES} <= set(SESSIONS)
    assert {(name, phase) for phase, name in SPEC.items()} <= set(PHASES)
    assert {phase for _, phase in PHASES} == set(DELIVERS)


@pytest.mark.parametrize("name", SESSIONS)
def test_a_spec_is_named_as_its_file(name: str) -> None:
    assert SESSIONS[name].id == name


@pytest.mark.parametrize("name", ROUTINES)
def test_a_routine_is_named_as_its_file(name: str) -> None:
    assert ROUTINES[name].id == f"routine-{name}"


@pytest.mark.parametrize("name", LIBRARY)
def test_a_spec_says_what_it_is_for(name: str) -> None:
    spec = LIBRARY[name]
    assert spec.about
    assert spec.tags
    assert set(spec.tags) <= set(TAGS)
    assert ("routines" in spec.tags) is name.startswith("routine-")
    assert spec.systemPrompt or name.startswith("routine-")
    wanted = 1 if name in dict(PHASES) else 2
    assert wanted <= len(spec.examples) <= 4


@pytest.mark.parametrize("name", LIBRARY)
def test_a_spec_compiles_to_prompts_of_bounded_length(name: str) -> None:
    made = compiled(name)
    prompted = {step.id for step in walked(made) if step.loop is None and step.parallel is None}
    assert prompted <= set(made.script.prompts)
    for step, prompt in made.script.prompts.items():
        assert len(prompt) <= PROMPT_CHARACTERS_MAX, step
        assert "{{wr." not in prompt, step


@pytest.mark.parametrize("name", LIBRARY)
def test_a_spec_is_without_faults(name: str) -> None:
    found = faults(LIBRARY[name], compiled(name).plan)
    assert [f"{fault.level} {fault.path}: {fault.message}" for fault in found] == []


@pytest.mark.parametrize("name", LIBRARY)
def test_every_step_of_a_spec_can_be_reached(name: str) -> None:
    assert simulate(compiled(name).plan).unreachable == ()


@pytest.mark.parametrize("name", LIBRARY)
def test_a_spec_that_was_written_out_in_full_is_read_back_as_the_same(name: str) -> None:
    spec = LIBRARY[name]
    read_back = Spec.model_validate(spec.model_dump(by_alias=True, mode="json"))
    assert read_back == spec
    assert compile_spec(read_back, WORDS, AROUND) == compiled(name)


@pytest.mark.parametrize(("name", "phase"), PHASES)
def test_a_phase_ends_with_the_one_artifact_that_is_taken_from_it(name: str, phase: Phase) -> None:
    made = compiled(name)
    delivered = [ARTIFACTS[step.contract] for step in walked(made) if step.contract]
    assert [kind for kind in delivered if kind not in STEERING] == [DELIVERS[phase]]
    last = made.plan.steps[-1].contract
    assert last is not None
    assert ARTIFACTS[last] is DELIVERS[phase]


@pytest.mark.parametrize("name", dict(PHASES))
def test_what_is_not_shown_by_an_artifact_is_shown_by_notes(name: str) -> None:
    agents = [s for s in walked(compiled(name)) if s.loop is None and s.parallel is None]
    assert agents
    assert all(bool(step.contract) is not step.notes_required for step in agents)


@pytest.mark.parametrize("name", PLAIN)
def test_the_default_path_of_a_phase_is_plain(name: str) -> None:
    made = compiled(name)
    path = run_with(name, {})
    known = usual(name)
    assert 1 <= len(path) <= 2
    for step in path:
        assert not templates.reads(made.script.prompts[step.id]), step.id
        assert not [f for f in step.fragments if f.when is None or conditions.holds(f.when, known)]
        said = step.model_dump(include={"id", "title", "contract", "notes_required"})
        assert step == PlanStep(**said, when=step.when, fragments=step.fragments)


def test_every_tag_is_in_use() -> None:
    assert {tag for spec in LIBRARY.values() for tag in spec.tags} == set(TAGS)


@pytest.mark.parametrize("name", LIBRARY)
def test_no_spec_leans_on_one_model_or_on_our_own_stand_in(name: str) -> None:
    text = LIBRARY[name].model_dump_json().lower()
    for word in ("claude", "anthropic", "gpt", "scripted", "scenario"):
        assert word not in text, word
