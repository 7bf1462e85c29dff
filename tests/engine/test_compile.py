"""Specs compiled: what is planned, what is said, and what cannot be run."""

import json

import pytest

from tests.engine.conftest import compiled, spec, step, words
from worktrain.contracts.spec import OutputContract, Spec
from worktrain.engine import contracts_check
from worktrain.engine.compile import Uncompilable, compile_spec


def test_a_step_with_a_contract_plans_its_artifact_and_shows_schema_and_example() -> None:
    made = compiled(step("hand-over", "wr.coding_handoff"))
    (planned,) = made.plan.steps
    assert (planned.contract, planned.notes_required) == ("wr.coding_handoff", False)
    prompt = made.script.prompts["hand-over"]
    contract = contracts_check.contract("wr.coding_handoff")
    assert json.dumps(contract.json_schema, indent=1) in prompt
    assert json.dumps(contract.example, indent=1) in prompt
    assert words().notes.strip() not in prompt


def test_a_step_without_a_contract_asks_for_notes_unless_they_are_optional() -> None:
    made = compiled(step("one-step"), step("two-step", notes=False))
    assert [one.notes_required for one in made.plan.steps] == [True, False]
    assert words().notes.strip() in made.script.prompts["one-step"]
    assert words().notes.strip() not in made.script.prompts["two-step"]


def test_an_optional_contract_is_not_demanded() -> None:
    optional = OutputContract(contractRef="wr.contracts.coding_handoff", required=False)
    made = compiled(step().model_copy(update={"outputContract": optional}))
    assert made.plan.steps[0].contract is None
    assert made.plan.steps[0].notes_required


def test_a_prompt_says_which_step_of_how_many_it_is() -> None:
    prompts = compiled(step("one-step"), step("two-step")).script.prompts
    assert prompts["one-step"].startswith("# Step 1 of 2: The one-step\n\nDo the one-step.")
    assert prompts["two-step"].startswith("# Step 2 of 2: The two-step\n\nDo the two-step.")


def test_double_braces_in_a_spec_are_text() -> None:
    hostile = step().model_copy(update={"prompt": "{{ 7 * 7 }} {% for x in y %} {# gone #}"})
    (prompt,) = compiled(hostile).script.prompts.values()
    assert "{{ 7 * 7 }} {% for x in y %} {# gone #}" in prompt


def test_the_system_prompt_is_followed_by_the_guidance() -> None:
    made = compile_spec(spec(systemPrompt="You mend.", metaGuidance=("Slowly.", "")), words())
    assert made.script.system == "You mend.\n\nSlowly."
    assert compiled().script.system == ""


def test_equal_specs_compile_to_equal_bytes() -> None:
    one, two = (compiled(step("one-step"), step("two-step", "wr.review_verdict")) for _ in "ab")
    assert one.model_dump_json() == two.model_dump_json()


def uncompilable(made: Spec) -> tuple[str, ...]:
    with pytest.raises(Uncompilable) as refused:
        compile_spec(made, words())
    assert str(refused.value) == "\n".join(f"sample: {one}" for one in refused.value.problems)
    return refused.value.problems


def test_every_problem_of_a_spec_is_named_at_once() -> None:
    wrong = step("one-step").model_copy(
        update={"outputContract": OutputContract(contractRef="wr.contracts.coding_handof")}
    )
    unlike = step("two-step").model_copy(
        update={"outputContract": OutputContract(contractRef="zzz", required=False)}
    )
    twice, near, far = uncompilable(spec(wrong, step("one-step"), unlike))
    assert twice == "step id 'one-step' is used 2 times; ids must differ"
    assert near.endswith("did you mean 'wr.contracts.coding_handoff'?")
    assert far.startswith("step 'two-step': there is no contract 'zzz'; there are wr.contracts.")
