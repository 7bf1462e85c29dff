"""The bundled specs: each compiles, and delivers what the coordinator takes from its phase."""

import pytest

from worktrain.adapters.catalogue import Catalogue
from worktrain.contracts.pipeline import Phase
from worktrain.contracts.spec import Spec
from worktrain.coordinators.feature import DELIVERS, SPEC
from worktrain.engine.compile import compile_spec
from worktrain.engine.contracts_check import ARTIFACTS

CATALOGUE = Catalogue()
NAMES = CATALOGUE.names()
PROMPT_CHARACTERS_MAX = 16_000
"""A step's prompt with its schema and example; it is resent with every turn."""


def read(name: str) -> Spec:
    return CATALOGUE.spec(name)


def test_the_specs_are_those_of_the_phases() -> None:
    assert set(NAMES) == set(SPEC.values())


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_is_named_as_its_file(name: str) -> None:
    assert read(name).id == name


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_compiles_to_prompts_of_bounded_length(name: str) -> None:
    made = compile_spec(read(name), CATALOGUE.words())
    assert set(made.script.prompts) == {step.id for step in made.plan.steps}
    for step, prompt in made.script.prompts.items():
        assert len(prompt) <= PROMPT_CHARACTERS_MAX, step
        assert "{{" not in prompt, step
    assert made.script.system


@pytest.mark.parametrize("phase", SPEC)
def test_a_phase_ends_with_the_one_artifact_that_is_taken_from_it(phase: Phase) -> None:
    plan = compile_spec(read(SPEC[phase]), CATALOGUE.words()).plan
    contracts = [step.contract for step in plan.steps]
    assert contracts[:-1] == [None] * (len(contracts) - 1)
    assert contracts[-1] is not None
    assert ARTIFACTS[contracts[-1]] is DELIVERS[phase]


@pytest.mark.parametrize("phase", SPEC)
def test_what_is_not_shown_by_an_artifact_is_shown_by_notes(phase: Phase) -> None:
    plan = compile_spec(read(SPEC[phase]), CATALOGUE.words()).plan
    assert all(bool(step.contract) is not step.notes_required for step in plan.steps)


@pytest.mark.parametrize("name", NAMES)
def test_no_spec_leans_on_one_model_or_on_our_own_stand_in(name: str) -> None:
    text = CATALOGUE.text(name).lower()
    for word in ("claude", "anthropic", "gpt", "scripted", "scenario"):
        assert word not in text, word
