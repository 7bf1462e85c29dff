"""Specs compiled: what is planned, what is said, and what cannot be run."""

import json
import time
from typing import Any

import pytest

from tests.engine.conftest import authored, compiled, faults_of, spec, step, told, words
from worktrain.contracts.plan import Compiled, Confirmation, PlanStep
from worktrain.contracts.spec import OutputContract, Spec
from worktrain.engine import contracts_check
from worktrain.engine.compile import Around, compile_spec

LOOP_CONTROL = {"contractRef": "wr.contracts.loop_control"}
SOUND: dict[str, Any] = {
    "id": "sound",
    "purpose": "Is the design sound?",
    "dimensions": [
        {"id": "risk", "purpose": "How much can break", "levels": ["low", "High"]},
        {"id": "fit", "purpose": "", "levels": ["good", "bad"], "required": False},
    ],
}
CLEAR: dict[str, Any] = {
    "id": "clear",
    "purpose": "Is it clear?",
    "dimensions": [{"id": "text", "purpose": "The text", "levels": ["plain", "dark"]}],
}


def made(*steps: dict[str, Any], around: Around | None = None, **changes: Any) -> Compiled:
    return compile_spec(authored(*steps, **changes), words(), around or Around())


def planned(**fields: Any) -> PlanStep:
    return made({"id": "one", **fields}).plan.steps[0]


def prompt_of(**fields: Any) -> str:
    return made({"id": "one", **fields}).script.prompts["one"]


# --- one step -----------------------------------------------------------------------------------


def test_a_step_with_a_contract_plans_its_artifact_and_shows_schema_and_example() -> None:
    result = compiled(step("hand-over", "wr.coding_handoff"))
    (planned,) = result.plan.steps
    assert (planned.contract, planned.notes_required) == ("wr.coding_handoff", False)
    prompt = result.script.prompts["hand-over"]
    contract = contracts_check.contract("wr.coding_handoff")
    assert json.dumps(contract.json_schema, indent=1) in prompt
    assert json.dumps(contract.example, indent=1) in prompt
    assert words().notes.strip() not in prompt
    assert result.script.contracts == {
        "wr.coding_handoff": {"schema": contract.json_schema, "example": contract.example}
    }


def test_a_step_without_a_contract_asks_for_notes_unless_they_are_optional() -> None:
    result = compiled(step("one-step"), step("two-step", notes=False))
    assert [one.notes_required for one in result.plan.steps] == [True, False]
    assert words().notes.strip() in result.script.prompts["one-step"]
    assert words().notes.strip() not in result.script.prompts["two-step"]


def test_an_optional_contract_is_offered_and_not_demanded() -> None:
    optional = OutputContract(contractRef="wr.contracts.coding_handoff", required=False)
    result = compiled(step().model_copy(update={"outputContract": optional}))
    (planned,) = result.plan.steps
    assert (planned.contract, planned.offers) == (None, "wr.coding_handoff")
    assert planned.notes_required
    assert "What you may deliver" in result.script.prompts["first-step"]
    assert list(result.script.contracts) == ["wr.coding_handoff"]


def test_a_prompt_says_which_step_of_how_many_it_is() -> None:
    prompts = compiled(step("one-step"), step("two-step")).script.prompts
    assert prompts["one-step"].startswith("# Step 1 of 2: The one-step\n\nDo the one-step.")
    assert prompts["two-step"].startswith("# Step 2 of 2: The two-step\n\nDo the two-step.")


@pytest.mark.parametrize(
    "step",
    [
        {"id": "one", "runCondition": {"var": "x"}},
        {"id": "one", "jumpIf": [{"condition": {"var": "x"}, "to": "two", "maxJumps": 1}]},
        {
            "id": "one",
            "title": "The one",
            "type": "loop",
            "loop": {"type": "for", "count": 2, "maxIterations": 2},
            "body": [{"id": "inner", "title": "The inner", "prompt": "Go."}],
        },
        {
            "id": "one",
            "title": "The one",
            "type": "parallel",
            "parallelDelegations": [{"workflowId": "other", "goal": "Look."}],
        },
    ],
)
def test_a_step_has_no_number_where_the_way_to_it_may_differ(step: dict[str, Any]) -> None:
    prompts = made(step, {"id": "two"}).script.prompts
    assert prompts["two"].startswith("# Step: The two\n\n")
    assert all(text.startswith("# Step: ") for text in prompts.values())


@pytest.mark.parametrize(
    ("consequences", "level"), [((), "High"), (("low",), "Low"), (("high",), "High")]
)
def test_the_example_of_an_assessment_shows_no_level_that_would_pass_unseen(
    consequences: tuple[str, ...], level: str
) -> None:
    text = made(
        {
            "id": "one",
            "assessmentRefs": ["risk"],
            "assessmentConsequences": [
                {
                    "when": {"anyEqualsLevel": one},
                    "effect": {"kind": "require_followup", "guidance": "Again."},
                }
                for one in consequences
            ],
        },
        assessments=[
            {
                "id": "risk",
                "purpose": "How much",
                "dimensions": [{"id": "size", "purpose": "", "levels": ["Low", "Middle", "High"]}],
            }
        ],
    ).script.prompts["one"]
    assert f'"level": "{level}"' in text


def test_double_braces_in_a_spec_are_text() -> None:
    hostile = "{{ 7 * 7 }} {% for x in y %} {# gone #} {{ goal }} {{a.b}}"
    prompt = prompt_of(prompt=hostile, guidance=[hostile], todoList=[hostile], agentRole=hostile)
    assert prompt.count(hostile) == 4
    system = made({"id": "one"}, preconditions=[hostile], metaGuidance=[hostile]).script.system
    assert system.count(hostile) == 2


def test_paths_are_read_from_every_text_of_a_step_once() -> None:
    step = planned(
        prompt="{{goal}} {{ plan.slices }} {{goal}}",
        guidance=["{{plan.rules}}"],
        promptFragments=[{"id": "f", "text": "{{only.here}}", "when": {"var": "x"}}],
    )
    assert step.reads == ("goal", "plan.slices", "plan.rules")
    (fragment,) = step.fragments
    assert (fragment.id, fragment.when, fragment.reads) == ("f", {"var": "x"}, ("only.here",))


def test_the_parts_of_a_prompt_stand_in_one_order() -> None:
    prompt = prompt_of(
        prompt="OWN WORDS",
        agentRole="You read like a hostile reviewer.",
        guidance=["GUIDED"],
        askForFiles=True,
        validationCriteria={
            "and": [
                {"type": "contains", "value": "because", "message": "Say why"},
                {"type": "length", "min": 60, "max": 90, "message": "Be brief"},
                {
                    "or": [
                        {"type": "regex", "pattern": "x+", "message": "An x"},
                        {"not": {"type": "contains", "value": "y", "message": "A y"}},
                    ]
                },
            ]
        },
        gives={"slices": "array", "shape": {"type": "string", "minLength": 3}},
        todoList=["First", "Second"],
    )
    parts = [
        "# Step 1 of 1: The one",
        "You read like a hostile reviewer.",
        "OWN WORDS",
        "- GUIDED",
        words().files.strip(),
        "- Say why (contains 'because')",
        "- Be brief (at least 60 characters, at most 90 characters)",
        "- either An x (matches x+), or not: A y (contains 'y')",
        '- slices, JSON Schema {"type": "array"}',
        '- shape, JSON Schema {"type": "string", "minLength": 3}',
        "1. First\n2. Second",
        words().notes.strip(),
    ]
    places = [prompt.index(part) for part in parts]
    assert places == sorted(places)


def test_an_empty_word_says_nothing() -> None:
    silent = words().model_copy(update={"role": "", "guidance": "", "gives": "", "references": ""})
    wanted = authored(
        {
            "id": "one",
            "prompt": "X.",
            "agentRole": "A role of ten letters",
            "guidance": ["g"],
            "gives": {"a": "string"},
            "notesOptional": True,
        },
        references=[{"id": "r", "title": "T", "source": "s.md", "purpose": "p"}],
    )
    script = compile_spec(wanted, silent).script
    assert script.prompts["one"] == "# Step 1 of 1: The one\n\nX."
    assert script.system == ""


def test_what_is_decided_on_is_planned_as_it_was_written() -> None:
    condition = {"and": [{"var": "a", "equals": None}, {"not": {"var": "b", "in": [1, "x"]}}]}
    step = planned(
        runCondition=condition,
        needs={"goal": "string"},
        gives={"n": {"type": "integer", "minimum": 1}},
        todoList=["Look"],
        modelTier="heavy",
        systemPrompt="Slowly.",
        validationCriteria={"type": "regex", "pattern": "x", "message": "m", "flags": "i"},
        questions=[
            {
                "id": "base", "text": "Which?", "type": "choice", "options": ["a", "b"],
                "when": {"var": "c"}, "deadlineMinutes": 1.5, "default": "a",
            }
        ],
        contextGather=[{"variable": "pitch", "paths": ["p.md"], "taskUrl": "x/", "required": True}],
        jumpIf=[{"condition": {"var": "again"}, "to": "one", "maxJumps": 2}],
    )  # fmt: skip
    assert step.when == condition
    assert step.needs == {"goal": {"type": "string"}}
    assert step.gives == {"n": {"type": "integer", "minimum": 1}}
    assert (step.todo, step.model_tier, step.system) == (("Look",), "heavy", True)
    assert step.criteria == {"type": "regex", "pattern": "x", "message": "m", "flags": "i"}
    (ask,) = step.asks
    assert (ask.variable, ask.options, ask.when) == ("base", ("a", "b"), {"var": "c"})
    assert (ask.deadline_s, ask.default) == (90, "a")
    (source,) = step.gathers
    assert (source.paths, source.task_url, source.required) == (("p.md",), "x/", True)
    (jump,) = step.jumps
    assert (jump.to, jump.jumps_max, jump.when) == ("one", 2, {"var": "again"})


@pytest.mark.parametrize(
    ("written", "planned_as"),
    [
        (False, None),
        (True, Confirmation(kind="coordinator_eval")),
        ({"var": "big"}, Confirmation(kind="coordinator_eval", when={"var": "big"})),
        ({"kind": "human_approval"}, Confirmation(kind="human_approval")),
        (
            {"kind": "coordinator_eval", "condition": {"var": "n", "gt": 3}},
            Confirmation(kind="coordinator_eval", when={"var": "n", "gt": 3}),
        ),
    ],
)
def test_a_confirmation_has_three_forms(written: object, planned_as: Confirmation | None) -> None:
    assert planned(requireConfirmation=written).confirm == planned_as


# --- the whole ----------------------------------------------------------------------------------


def test_the_system_prompt_is_followed_by_what_the_spec_says_for_all_steps() -> None:
    result = made(
        {"id": "one"},
        systemPrompt="You mend.",
        preconditions=["The tests pass."],
        clarificationPrompts=["Which version?"],
        references=[{"id": "r", "title": "Rules", "source": "r.md", "purpose": "How we write"}],
        metaGuidance=["Slowly.", "Surely."],
    )
    system = result.script.system
    parts = ["You mend.", "The tests pass.", "Which version?", "Rules (r.md)", "Slowly.\n\nSurely."]
    places = [system.index(part) for part in parts]
    assert places == sorted(places)
    assert compile_spec(spec(systemPrompt="You mend.", metaGuidance=("Slowly.",)), words()) == (
        compile_spec(spec(systemPrompt="You mend.\n\nSlowly."), words())
    )
    assert compiled().script.system == ""


def test_the_texts_of_a_step_are_in_the_script() -> None:
    result = made(
        {"id": "one", "promptFragments": [{"id": "f", "text": "Or {{x}}"}]},
        {"id": "two", "systemPrompt": "Slowly."},
        metricsProfile="coding",
        needs={"goal": "string"},
        gives={"done": "boolean"},
    )
    assert result.script.fragments == {"one/f": "Or {{x}}"}
    assert result.script.systems == {"two": "Slowly."}
    assert result.script.footers == {"two": words().metrics["coding"].strip()}
    assert result.plan.needs == {"goal": {"type": "string"}}
    assert result.plan.gives == {"done": {"type": "boolean"}}


def test_equal_specs_compile_to_equal_bytes() -> None:
    one, two = (compiled(step("one-step"), step("two-step", "wr.review_verdict")) for _ in "ab")
    assert one.model_dump_json() == two.model_dump_json()


def test_a_kind_of_the_projects_own_is_asked_for_by_its_name() -> None:
    own = {"acme.plan": {"type": "object", "properties": {"steps": {"type": "array"}}}}
    result = made(
        {"id": "one", "outputContract": {"contractRef": "acme.plan"}}, around=Around(contracts=own)
    )
    assert result.plan.steps[0].contract == "acme.plan"
    assert result.plan.contracts == own
    assert list(result.script.contracts) == ["acme.plan"]
    assert "acme.plan" in result.script.prompts["one"]


# --- assessments ---------------------------------------------------------------------------------


def test_an_assessment_is_planned_with_its_levels_and_asked_for() -> None:
    result = made(
        {
            "id": "one",
            "assessmentRefs": ["sound"],
            "assessmentConsequences": [
                {
                    "when": {"anyEqualsLevel": "HIGH "},
                    "effect": {"kind": "require_followup", "guidance": "Look again."},
                },
                {
                    "when": {"anyEqualsLevel": "bad", "forAssessment": "sound"},
                    "effect": {
                        "kind": "require_redo", "guidance": "Again.", "recipe": ["a", "b"],
                        "maxRedos": 3,
                    },
                },
            ],
        },
        assessments=[SOUND, CLEAR],
    )  # fmt: skip
    (step,) = result.plan.steps
    (assessment,) = step.assessments
    assert [(one.id, one.levels, one.required) for one in assessment.dimensions] == [
        ("risk", ("low", "High"), True),
        ("fit", ("good", "bad"), False),
    ]
    followup, redo = step.consequences
    assert (followup.level, followup.recipe, followup.redos_max) == ("High", (), 1)
    assert (redo.assessment, redo.recipe, redo.redos_max) == ("sound", ("a", "b"), 3)
    prompt = result.script.prompts["one"]
    for text in (
        "sound: Is the design sound?",
        "risk, one of low, High",
        '"assessmentId": "sound"',
    ):
        assert text in prompt
    assert "clear" not in prompt.lower().replace("clearly", "")
    assert list(result.script.contracts) == ["wr.assessment"]


def test_the_example_of_several_assessments_shows_each() -> None:
    prompt = made(
        {"id": "one", "assessmentRefs": ["sound", "clear"]}, assessments=[SOUND, CLEAR]
    ).script.prompts["one"]
    assert '"assessmentId": "sound"' in prompt
    assert '"assessmentId": "clear"' in prompt


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        (
            {"assessmentRefs": ["soundd"]},
            "steps[0].assessmentRefs[0]: step 'one': there is no assessment 'soundd'; did you "
            "mean 'sound'?",
        ),
        (
            {"assessmentRefs": ["sound"], "level": "hihg"},
            "steps[0].assessmentConsequences[0].when.anyEqualsLevel: step 'one': no dimension has "
            "the level 'hihg'; did you mean 'High'?",
        ),
        (
            {"assessmentRefs": ["sound"], "level": "plain"},
            "steps[0].assessmentConsequences[0].when.anyEqualsLevel: step 'one': no dimension has "
            "the level 'plain'; there are low, High, good, bad",
        ),
        (
            {"level": "low"},
            "steps[0].assessmentConsequences[0].when: step 'one': a consequence follows from an "
            "assessment; name one in `assessmentRefs`",
        ),
        (
            {"assessmentRefs": ["sound"], "level": "low", "about": "clear"},
            "steps[0].assessmentConsequences[0].when.forAssessment: step 'one': the step has no "
            "assessment 'clear'; there is sound",
        ),
        (
            {"assessmentRefs": ["sound"], "level": "low", "again": "LOW"},
            "steps[0].assessmentConsequences[1].when: step 'one': the level 'LOW' has a "
            "consequence already; write one for both",
        ),
    ],
)
def test_a_consequence_follows_from_a_level_that_there_is(
    fields: dict[str, Any], fault: str
) -> None:
    effect = {"kind": "require_followup", "guidance": "Look."}
    consequences = [
        {"when": {"anyEqualsLevel": fields[key]}, "effect": effect}
        for key in ("level", "again")
        if key in fields
    ]
    if "about" in fields:
        consequences[0]["when"]["forAssessment"] = fields["about"]
    wrong = {
        "id": "one",
        "assessmentRefs": fields.get("assessmentRefs", []),
        "assessmentConsequences": consequences,
    }
    assert [str(one) for one in faults_of(authored(wrong, assessments=[SOUND, CLEAR]))] == [fault]


# --- loops ---------------------------------------------------------------------------------------


def loop(body: Any = ({"id": "inner"},), **rules: Any) -> dict[str, Any]:
    return {
        "id": "again",
        "type": "loop",
        "loop": {"type": "while", "maxIterations": 3, **rules},
        "body": list(body) if not isinstance(body, str) else body,
    }


def test_a_loop_holds_the_steps_of_its_body() -> None:
    result = made({"id": "one"}, loop(condition={"var": "more"}), {"id": "last"})
    _, again, _ = result.plan.steps
    assert again.loop is not None
    assert [step.id for step in again.loop.body] == ["inner"]
    assert (again.loop.passes_max, again.loop.when) == (3, {"var": "more"})
    assert (again.loop.contract, again.notes_required) == (None, False)
    assert list(result.script.prompts) == ["one", "inner", "last"]


def test_a_body_may_be_a_step_of_the_spec_which_then_stands_nowhere_else() -> None:
    result = made({"id": "inner"}, loop("inner", type="for", count=2), {"id": "last"})
    assert [step.id for step in result.plan.steps] == ["again", "last"]
    (again, _) = result.plan.steps
    assert again.loop is not None
    assert [step.id for step in again.loop.body] == ["inner"]
    assert again.loop.count == 2


@pytest.mark.parametrize("kind", ["while", "until"])
def test_a_body_step_that_delivers_loop_control_steers_its_loop(kind: str) -> None:
    body = [{"id": "inner"}, {"id": "decide", "outputContract": LOOP_CONTROL}]
    (again,) = made(loop(body, type=kind, condition={"var": "x"})).plan.steps
    assert again.loop is not None
    assert (again.loop.contract, again.loop.loop_id) == ("wr.loop_control", "again")
    assert again.loop.when is None


def test_a_written_source_counts_before_a_derived_one() -> None:
    body = [{"id": "decide", "outputContract": LOOP_CONTROL}]
    variable = {"kind": "context_variable", "condition": {"var": "y"}}
    artifact = {
        "kind": "artifact_contract", "contractRef": "wr.contracts.loop_control", "loopId": "slices"
    }  # fmt: skip
    (one,) = made(loop(body, conditionSource=variable)).plan.steps
    (two,) = made(loop(conditionSource=artifact)).plan.steps
    assert one.loop is not None
    assert two.loop is not None
    assert (one.loop.when, one.loop.contract) == ({"var": "y"}, None)
    assert (two.loop.when, two.loop.contract) == (None, "wr.loop_control")
    assert two.loop.loop_id == "slices"


def test_a_for_each_knows_the_fields_that_its_body_uses_of_an_item() -> None:
    body = [
        {
            "id": "inner",
            "prompt": "{{slice.title}} {{slice.files.0}} {{slice}} {{slices.x}}",
            "promptFragments": [{"id": "f", "text": "{{slice.check}} {{slice.title}}"}],
        }
    ]
    (again,) = made(
        loop(body, type="forEach", items="slices", itemVar="slice", exitWhen={"var": "stop"})
    ).plan.steps
    assert again.loop is not None
    assert again.loop.item_fields == ("title", "files", "check")
    assert (again.loop.items, again.loop.item_var) == ("slices", "slice")
    assert again.loop.exit_when == {"var": "stop"}
    (plain,) = made(loop(body, type="for", count="n")).plan.steps
    assert plain.loop is not None
    assert (plain.loop.item_fields, plain.loop.count) == ((), "n")


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ([loop()], ["loop-without-condition steps[0].loop"]),
        ([loop(type="until")], ["loop-without-condition steps[0].loop"]),
        ([loop([], condition={"var": "x"})], ["empty-loop steps[0].body"]),
        ([loop("innr", type="for", count=1), {"id": "inner"}], ["unknown-step steps[0].body"]),
        ([loop("again", type="for", count=1)], ["nested-loop steps[0].body"]),
        (
            [loop("other", type="for", count=1), loop(condition={"var": "x"}) | {"id": "other"}],
            ["nested-loop steps[0].body"],
        ),
        (
            [
                loop(
                    conditionSource={
                        "kind": "artifact_contract",
                        "contractRef": "wr.contracts.loop_controll",
                        "loopId": "x",
                    }
                )
            ],
            ["wrong-loop-contract steps[0].loop.conditionSource.contractRef"],
        ),
        (
            [
                loop("inner", type="for", count=1),
                loop("inner", type="for", count=1) | {"id": "other"},
                {"id": "inner"},
            ],
            ["duplicate-step-id steps[2].id"],
        ),
    ],
)
def test_a_loop_that_cannot_be_run_is_refused(steps: list[dict[str, Any]], said: list[str]) -> None:
    assert told(authored(*steps)) == said


# --- parallel and virtual steps -------------------------------------------------------------------


def parallel(**changes: Any) -> dict[str, Any]:
    delegations = changes.pop("delegations", [{"workflowId": "review", "goal": "Look at {{x}}"}])
    return {"id": "fan", "type": "parallel", "parallelDelegations": delegations, **changes}


def test_delegations_are_planned_with_names_of_their_own() -> None:
    result = made(
        parallel(
            delegations=[
                {
                    "workflowId": "wr.review", "goal": "For {{x}}", "runCondition": {"var": "a"},
                    "contextMapping": {"plan.text": "plan"}, "args": {"depth": 2, "at": "{{y}}"},
                    "modelTier": "mid", "allowedTools": ["Read"], "gives": {"v": "given.v"},
                },
                {"workflowId": "wr.review", "goal": "G"},
                {"workflowId": "wr.review", "goal": "G", "name": "wr-review-2"},
            ],
            forEach={"items": "files", "itemVar": "file"},
            maxConcurrency=2,
            failPolicy="abort",
            resultsVar="reviews",
        )
    )  # fmt: skip
    (fan,) = result.plan.steps
    assert fan.parallel is not None
    first, second, third = fan.parallel.delegations
    assert [first.name, second.name, third.name] == ["wr-review", "wr-review-3", "wr-review-2"]
    assert (first.spec, first.goal, first.when) == ("wr.review", "For {{x}}", {"var": "a"})
    assert (first.context, first.args) == ({"plan": "plan.text"}, {"depth": 2, "at": "{{y}}"})
    assert (first.tools, first.gives) == (("Read",), {"v": "given.v"})
    assert (fan.parallel.items, fan.parallel.item_var) == ("files", "file")
    assert (fan.parallel.concurrency_max, fan.parallel.on_failure) == (2, "abort")
    assert (fan.parallel.results, fan.reads) == ("reviews", ("x", "y"))
    assert result.script.prompts == {}


def test_a_synthesis_is_a_step_behind_its_sessions() -> None:
    result = made(
        parallel(
            synthesis={
                "prompt": "Weigh {{delegationResults}}.",
                "outputContract": {"contractRef": "wr.contracts.review_verdict"},
                "gives": {"verdict": "string"},
            }
        )
    )
    fan, synthesis = result.plan.steps
    assert (synthesis.id, synthesis.synthesis_of) == ("fan__synthesis", "fan")
    assert (synthesis.contract, synthesis.notes_required) == ("wr.review_verdict", False)
    assert synthesis.gives == {"verdict": {"type": "string"}}
    assert synthesis.reads == ("delegationResults",)
    assert "Weigh {{delegationResults}}." in result.script.prompts["fan__synthesis"]
    assert fan.synthesis_of is None
    notes = made(parallel(synthesis={"prompt": "Weigh."}, notesOptional=True)).plan.steps
    assert not notes[1].notes_required


def test_verification_and_audit_are_steps_behind_theirs() -> None:
    result = made(
        {
            "id": "one",
            "runCondition": {"var": "x"},
            "audit": {"prompt": "Read it.", "rubric": ["Simple", "Right"]},
            "verification": {"command": "make test"},
        },
        loop([{"id": "inner", "verification": {"prompt": "Look."}}], condition={"var": "x"}),
    )
    one, verification, audit, again = result.plan.steps
    assert [verification.id, audit.id] == ["one__verification", "one__audit"]
    assert (verification.when, verification.notes_required) == ({"var": "x"}, False)
    assert "`make test`" in result.script.prompts["one__verification"]
    assert "Check that the step before" in result.script.prompts["one__verification"]
    assert "Read it.\n\n- Simple\n- Right" in result.script.prompts["one__audit"]
    assert one.when == {"var": "x"}
    assert again.loop is not None
    assert [step.id for step in again.loop.body] == ["inner", "inner__verification"]


def test_without_words_a_verification_and_an_audit_say_what_their_author_wrote() -> None:
    silent = words().model_copy(update={"verification": "", "audit": ""})
    wanted = authored(
        {
            "id": "one",
            "verification": {"command": "make test"},
            "audit": {"prompt": "Read it.", "rubric": ["Simple"]},
        },
        {"id": "two", "verification": {}},
    )
    prompts = compile_spec(wanted, silent).script.prompts
    assert prompts["one__verification"].endswith(": The one\n\nmake test")
    assert prompts["one__audit"].endswith(": The one\n\nRead it.\n\nSimple")
    assert "two__verification" not in prompts


# --- what cannot be run ---------------------------------------------------------------------------


def test_every_fault_of_a_spec_is_named_at_once() -> None:
    near = {"id": "one-step", "outputContract": {"contractRef": "wr.contracts.coding_handof"}}
    far = {"id": "two-step", "outputContract": {"contractRef": "zzz", "required": False}}
    twice, first, second = faults_of(authored(near, {"id": "one-step"}, far))
    assert str(twice) == "steps[1].id: step id 'one-step' is used 2 times; ids must differ"
    assert first.path == ("steps", 0, "outputContract", "contractRef")
    assert first.message.endswith("did you mean 'wr.contracts.coding_handoff'?")
    assert second.message.startswith("step 'two-step': there is no contract 'zzz'; there are wr.")
    assert [one.rule for one in (twice, first, second)] == [
        "duplicate-step-id",
        "unknown-contract",
        "unknown-contract",
    ]


def jump(to: str) -> dict[str, Any]:
    return {"jumpIf": [{"condition": {"var": "x"}, "to": to, "maxJumps": 1}]}


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (
            [{"id": "one", **jump("twoo")}, {"id": "two"}],
            ["unknown-step steps[0].jumpIf[0].to"],
        ),
        (
            [{"id": "one", **jump("inner")}, loop(condition={"var": "x"})],
            ["jump-into-loop steps[0].jumpIf[0].to"],
        ),
        (
            [parallel(delegations=[{"workflowId": "w", "goal": "g", "allowedTools": ["bash"]}])],
            ["unknown-tool steps[0].parallelDelegations[0].allowedTools[0]"],
        ),
        (
            [
                parallel(
                    delegations=[
                        {"workflowId": "w", "goal": "g", "name": "same"},
                        {"workflowId": "w", "goal": "g", "name": "same"},
                    ]
                )
            ],
            ["duplicate-delegation steps[0].parallelDelegations[1].name"],
        ),
        (
            [{"id": "one", "runCondition": {"or": [{"var": "x", "matches": "(a"}]}}],
            ["wrong-pattern steps[0].runCondition.or[0].matches"],
        ),
        (
            [{"id": "one", "contextGather": [{"variable": "v", "taskUrl": "[a"}]}],
            ["wrong-pattern steps[0].contextGather[0].taskUrl"],
        ),
        (
            [
                {
                    "id": "one",
                    "validationCriteria": {
                        "and": [{"type": "regex", "message": "m", "pattern": "(x"}]
                    },
                }
            ],
            ["wrong-criteria steps[0].validationCriteria.and[0]"],
        ),
        (
            [{"id": "one", "gives": {"x": {"type": "strin"}}}],
            ["wrong-schema steps[0].gives.x"],
        ),
        (
            [{"id": "one", "gives": {"eat_token": "string"}}],
            ["reserved-variable steps[0].gives.eat_token"],
        ),
        (
            [
                {
                    "id": "one",
                    "promptFragments": [{"id": "f", "text": "a"}, {"id": "f", "text": "b"}],
                }
            ],
            ["duplicate-fragment steps[0].promptFragments[1].id"],
        ),
    ],
)
def test_what_leads_nowhere_is_told_at_its_place(
    steps: list[dict[str, Any]], said: list[str]
) -> None:
    assert told(authored(*steps)) == said


def test_a_jump_may_lead_along_its_loop_and_out_of_it() -> None:
    body = [{"id": "inner", **jump("second")}, {"id": "second", **jump("last")}]
    (again, _) = made(loop(body, condition={"var": "x"}), {"id": "last"}).plan.steps
    assert again.loop is not None
    assert [step.jumps[0].to for step in again.loop.body] == ["second", "last"]


def test_a_condition_that_could_never_be_evaluated_is_refused() -> None:
    condition: dict[str, Any] = {"var": "x"}
    for _ in range(31):
        condition = {"not": condition}
    assert made({"id": "one", "runCondition": condition})
    deep = {"id": "one", "runCondition": {"not": {"not": {"not": condition}}}}
    assert told(authored(deep)) == ["deep-condition steps[0].runCondition.not.not"]


def test_names_of_the_spec_stand_for_one_thing_each() -> None:
    doubled = authored(
        {"id": "one"},
        assessments=[SOUND, SOUND],
        extensionPoints=[{"slotId": "s", "purpose": "p", "default": "d"}] * 2,
        functionDefinitions=[{"name": "f", "definition": "d"}] * 2,
    )
    assert told(doubled) == [
        "duplicate-assessment assessments[1].id",
        "duplicate-slot extensionPoints[1].slotId",
        "duplicate-function functionDefinitions[1].name",
    ]
    levels = {**CLEAR, "dimensions": [{"id": "d", "purpose": "", "levels": ["Low", "low "]}]}
    assert told(authored({"id": "one"}, assessments=[levels])) == [
        "duplicate-level assessments[0].dimensions[0].levels"
    ]


def test_a_spec_of_a_thousand_steps_compiles_in_time_that_grows_with_it() -> None:
    steps = [{"id": f"step-{n}", "prompt": f"Do {{{{a.b{n}}}}}."} for n in range(1_000)]
    wanted: Spec = authored(*steps)
    began = time.process_time()
    assert len(compile_spec(wanted, words()).plan.steps) == 1_000
    assert time.process_time() - began < 8


def test_a_system_prompt_stays_the_same_bytes_so_nothing_is_filled_into_it() -> None:
    found = faults_of(
        authored(
            {"id": "one", "systemPrompt": "Mind {{mood}} and {{plan.rules}}, not {{ 7 }}."},
            loop([{"id": "two", "systemPrompt": "{{x}}"}], condition={"var": "x"}),
            systemPrompt="For {{goal}}.",
        )
    )
    assert {one.rule for one in found} == {"template-in-system-prompt"}
    assert [one.path for one in found] == [
        ("systemPrompt",),
        ("steps", 0, "systemPrompt"),
        ("steps", 0, "systemPrompt"),
        ("steps", 1, "body", 0, "systemPrompt"),
    ]
    assert found[1].message == (
        "step 'one': `{{mood}}` cannot stand in a system prompt, which has to stay the same "
        "bytes; put it into the prompt of a step"
    )
