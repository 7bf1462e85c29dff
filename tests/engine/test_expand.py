"""What a spec names and does not say itself: routines, bindings, features, refs, functions."""

import time
from typing import Any

import pytest

from tests.engine.conftest import authored, faults_of, told, words
from worktrain.contracts.plan import Compiled, Confirmation, Words
from worktrain.contracts.spec import Spec
from worktrain.engine.compile import Around, compile_spec

TEXTS = {
    "refs": {"wr.refs.memory_usage": "Remember.\n", "wr.refs.notes_first_durability": "Note it."},
    "features": {
        "wr.features.capabilities": {"constraints": "Use what is there.", "verify": "It was."},
        "wr.features.memory_context": {"procedure": "Recall."},
    },
}


def said() -> Words:
    return words().model_copy(update=TEXTS)


def made(*steps: dict[str, Any], around: Around | None = None, **changes: Any) -> Compiled:
    return compile_spec(authored(*steps, **changes), said(), around or Around())


def calling(*routines: Spec) -> Around:
    return Around(routines={one.id: one for one in routines})


def call(routine: str = "routine-plan", **fields: Any) -> dict[str, Any]:
    args = fields.pop("args", {"objective": "the export"})
    return {"id": "plan", "templateCall": {"templateId": routine, "args": args}, **fields}


def routine(*steps: dict[str, Any], name: str = "routine-plan", **changes: Any) -> Spec:
    first = {"id": "cut", "title": "Cut {objective}", "prompt": "Cut {objective} by {{order}}."}
    return authored(*(steps or (first, {"id": "join"})), id=name, **changes)


# --- routines ---------------------------------------------------------------------------


def test_the_steps_of_a_routine_stand_in_place_of_its_call() -> None:
    result = made({"id": "one"}, call(), {"id": "last"}, around=calling(routine()))
    assert [step.id for step in result.plan.steps] == ["one", "plan.cut", "plan.join", "last"]
    assert result.plan.steps[1].title == "Cut the export"
    prompt = result.script.prompts["plan.cut"]
    assert prompt.startswith("# Step 2 of 4: Cut the export\n\nCut the export by {{order}}.")
    assert result.plan.steps[1].reads == ("order",)


@pytest.mark.parametrize(
    ("called", "known"),
    [
        ("wr.templates.routine.plan", "routine-plan"),
        ("wr.templates.routine.plan", "wr.routine-plan"),
        ("wr.templates.routine.plan", "plan-it"),
        ("routine-plan", "routine-plan"),
        ("plan", "wr.routine-plan"),
    ],
)
def test_a_routine_is_known_by_its_name_or_its_id(called: str, known: str) -> None:
    around = calling(routine(name=known))
    if known == "plan-it":
        assert told(authored(call(called)), around) == [
            "unknown-routine steps[0].templateCall.templateId"
        ]
    else:
        assert len(made(call(called), around=around).plan.steps) == 2


def test_an_unknown_routine_names_the_nearest() -> None:
    wrong = authored(call("routine-plam"), {"id": "two", "jumpIf": []})
    (fault,) = faults_of(wrong, calling(routine()))
    assert fault.message == (
        "step 'plan': there is no routine 'routine-plam'; did you mean 'routine-plan'?"
    )


def test_a_missing_argument_is_a_fault_at_the_call() -> None:
    (fault,) = faults_of(authored(call(args={"objektive": "x"})), calling(routine()))
    assert fault.path == ("steps", 0, "templateCall", "args")
    assert fault.rule == "missing-argument"
    assert fault.message.endswith("the argument 'objective'; did you mean 'objektive'?")


def test_what_is_put_in_for_an_argument_is_no_template_of_the_routine() -> None:
    result = made(call(args={"objective": "{objective} {x} {{goal}}"}), around=calling(routine()))
    assert "Cut {objective} {x} {{goal}} by {{order}}." in result.script.prompts["plan.cut"]


def test_a_variable_that_a_routine_needs_is_put_in_where_the_call_gives_it() -> None:
    around = calling(
        routine(
            {"id": "ask", "prompt": "{{question}} {{limits}} {{other}}"},
            {"id": "say"},
            needs={"question": "string", "limits": "object", "depth": "integer"},
            gives={"facts": "array"},
        )
    )
    result = made(call(args={"question": "Why {{a}}?", "limits": {"n": 1}}), around=around)
    ask, say = result.plan.steps
    assert 'Why {{a}}? {"n": 1} {{other}}' in result.script.prompts["plan.ask"]
    assert (ask.needs, ask.gives) == ({"depth": {"type": "integer"}}, {})
    assert (say.needs, say.gives) == ({}, {"facts": {"type": "array"}})


def test_what_a_routine_says_for_all_its_steps_goes_to_each() -> None:
    around = calling(
        routine(metaGuidance=["Mind {objective}."], systemPrompt="You cut.", modelTier="heavy")
    )
    result = made({"id": "one"}, call(), around=around)
    assert "Mind the export." not in result.script.prompts["one"]
    for name in ("plan.cut", "plan.join"):
        assert "- Mind the export." in result.script.prompts[name]
        assert result.script.systems[name] == "You cut."
    assert [step.model_tier for step in result.plan.steps] == [None, "heavy", "heavy"]


def test_what_its_caller_says_holds_for_each_step_or_for_the_last() -> None:
    around = calling(
        routine({"id": "cut", "runCondition": {"var": "b"}, "modelTier": "mid"}, {"id": "join"}),
    )
    result = made(
        call(
            runCondition={"var": "a"},
            agentRole="One who cuts very well",
            modelTier="heavy",
            notesOptional=True,
            guidance=["Both."],
            requireConfirmation={"kind": "human_approval"},
            outputContract={"contractRef": "wr.contracts.coding_handoff"},
            gives={"slices": "array"},
            needs={"goal": "string"},
            jumpIf=[{"condition": {"var": "x"}, "to": "plan", "maxJumps": 1}],
            todoList=["Count them"],
        ),
        {"id": "back", "jumpIf": [{"condition": {"var": "y"}, "to": "plan", "maxJumps": 1}]},
        around=around,
    )
    cut, join, back = result.plan.steps
    assert cut.when == {"and": [{"var": "a"}, {"var": "b"}]}
    assert join.when == {"var": "a"}
    for step in (cut, join):
        assert (step.model_tier, step.notes_required) == ("heavy", False)
        assert "One who cuts very well" in result.script.prompts[step.id]
        assert "- Both." in result.script.prompts[step.id]
    assert (cut.confirm, cut.contract, cut.gives, cut.jumps) == (None, None, {}, ())
    assert cut.needs == {"goal": {"type": "string"}}
    assert join.confirm == Confirmation(kind="human_approval")
    assert (join.contract, join.todo) == ("wr.coding_handoff", ("Count them",))
    assert join.gives == {"slices": {"type": "array"}}
    assert [jump.to for jump in (*join.jumps, *back.jumps)] == ["plan.cut", "plan.cut"]


def test_a_routine_may_have_loops_jumps_and_assessments_of_its_own() -> None:
    around = calling(
        routine(
            {
                "id": "again",
                "type": "loop",
                "loop": {"type": "for", "count": 2, "maxIterations": 2},
                "body": "inner",
            },
            {"id": "inner", "assessmentRefs": ["good"], "prompt": "{objective}"},
            {"id": "back", "jumpIf": [{"condition": {"var": "x"}, "to": "again", "maxJumps": 1}]},
            assessments=[
                {
                    "id": "good",
                    "purpose": "Is it?",
                    "dimensions": [{"id": "d", "purpose": "", "levels": ["a", "b"]}],
                }
            ],
        )
    )
    again, back = made(call(), around=around).plan.steps
    assert again.loop is not None
    (inner,) = again.loop.body
    assert (again.id, inner.id) == ("plan.again", "plan.inner")
    assert [one.id for one in inner.assessments] == ["good"]
    assert back.jumps[0].to == "plan.again"
    inside = {
        "id": "outer",
        "type": "loop",
        "loop": {"type": "for", "count": 1, "maxIterations": 1},
    }
    assert told(authored({**inside, "body": [call()]}), around) == [
        "nested-loop steps[0].body[0].templateCall"
    ]


def test_a_call_may_be_the_body_of_a_loop() -> None:
    loop = {"id": "outer", "type": "loop", "loop": {"type": "for", "count": 1, "maxIterations": 1}}
    for steps in ([{**loop, "body": [call()]}], [{**loop, "body": "plan"}, call()]):
        (outer,) = made(*steps, around=calling(routine())).plan.steps
        assert outer.loop is not None
        assert [step.id for step in outer.loop.body] == ["plan.cut", "plan.join"]


def test_what_a_routine_cannot_take_at_its_ends_is_refused() -> None:
    fan = {
        "id": "fan",
        "type": "parallel",
        "parallelDelegations": [{"workflowId": "w", "goal": "{objective}"}],
    }
    wrong = authored(call(gives={"x": "string"}, needs={"y": "string"}))
    assert told(wrong, calling(routine(fan))) == ["routine-ends steps[0].templateCall"] * 2


def test_routines_call_no_routines_and_a_circle_is_named() -> None:
    inner = routine(name="routine-inner")
    outer = routine(call("inner"), name="routine-outer")
    one = routine(call("two"), name="routine-one")
    two = routine({"id": "x-1"}, call("one"), name="routine-two")
    self = routine(call("self"), name="routine-self")
    wrong = authored(call("outer"), {**call("one"), "id": "b-1"}, {**call("self"), "id": "c-1"})
    nested, circle, itself = faults_of(wrong, calling(inner, outer, one, two, self))
    assert nested.rule == "nested-routine"
    assert nested.message.endswith("another one, 'inner', which routines do not; call both from "
                                   "the spec")  # fmt: skip
    assert circle.rule == itself.rule == "routine-cycle"
    assert circle.message.endswith("in a circle: routine-one -> routine-two -> routine-one")
    assert itself.message.endswith("in a circle: routine-self -> routine-self")


def test_a_long_chain_of_routines_is_refused_at_once() -> None:
    chain = [
        routine(*({**call(f"r{n + 1}"), "id": f"a-{k}"} for k in range(3)), name=f"routine-r{n}")
        for n in range(200)
    ]
    began = time.process_time()
    assert told(authored(call("r0")), calling(*chain)) == [
        "nested-routine steps[0].templateCall.templateId"
    ]
    assert time.process_time() - began < 1


def test_a_fault_in_a_routine_is_told_at_its_call() -> None:
    around = calling(routine({"id": "cut", "outputContract": {"contractRef": "wr.contracts.x"}}))
    assert told(authored({"id": "one"}, call()), around) == [
        "unknown-contract steps[1].templateCall"
    ]


# --- bindings and refs ------------------------------------------------------------------


def test_a_slot_holds_what_the_project_binds_to_it_or_its_default() -> None:
    points = [
        {"slotId": "design", "purpose": "p", "default": "routine-design"},
        {"slotId": "audit", "purpose": "p", "default": "routine-audit"},
    ]
    fan = {
        "id": "fan",
        "type": "parallel",
        "parallelDelegations": [{"workflowId": "{{wr.bindings.audit}}", "goal": "g"}],
    }
    result = made(
        {"id": "one", "prompt": "{{wr.bindings.design}}, {{ wr.bindings.audit }}, {{goal}}"},
        fan,
        extensionPoints=points,
        around=Around(bindings={"audit": "our-audit"}),
    )
    assert "routine-design, our-audit, {{goal}}" in result.script.prompts["one"]
    fanned = result.plan.steps[1].parallel
    assert fanned is not None
    assert fanned.delegations[0].spec == "our-audit"


def test_refs_are_put_in_as_tokens_and_as_parts() -> None:
    result = made(
        {"id": "one", "prompt": "First: {{wr.refs.memory_usage}} {{goal}}"},
        {
            "id": "two",
            "promptBlocks": {
                "goal": [
                    {"kind": "text", "text": "Do. "},
                    {"kind": "ref", "refId": "wr.refs.memory_usage"},
                ],
                "verify": [[{"kind": "ref", "refId": "notes_first_durability"}]],
            },
        },
        metaGuidance=["{{wr.refs.notes_first_durability}}"],
    )
    assert "First: Remember. {{goal}}" in result.script.prompts["one"]
    assert "## Goal\nDo. Remember.\n\n## Verify\n- Note it." in result.script.prompts["two"]
    assert result.script.system == "Note it."


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"prompt": "{{wr.bindings.desing}}"}, "unknown-slot steps[0].prompt"),
        ({"guidance": ["", "{{wr.refs.memory}}"]}, "unknown-ref steps[0].guidance[1]"),
        ({"prompt": "{{wr.metrics.x}}"}, "unknown-token steps[0].prompt"),
        ({"prompt": "{{ wr.bindings }}"}, "unknown-token steps[0].prompt"),
        (
            {"promptFragments": [{"id": "f", "text": "{{wr.x"}]},
            "unknown-token steps[0].promptFragments[0].text",
        ),
        (
            {"promptBlocks": {"goal": [{"kind": "ref", "refId": "wr.refs.memory"}]}},
            "unknown-ref steps[0].promptBlocks.goal[0].refId",
        ),
        (
            {"promptBlocks": {"outputRequired": {"plan": "{{wr.bindings.x}}"}}},
            "unknown-slot steps[0].promptBlocks.outputRequired.plan",
        ),
    ],
)
def test_a_token_that_nothing_is_known_of_is_a_fault_at_its_place(
    step: dict[str, Any], said: str
) -> None:
    point = {"slotId": "design", "purpose": "p", "default": "d"}
    assert told(authored({"id": "one", **step}, extensionPoints=[point])) == [said]


def test_a_binding_cannot_bring_in_another_one() -> None:
    point = {"slotId": "design", "purpose": "p", "default": "{{wr.bindings.design}}"}
    wrong = authored({"id": "one", "prompt": "{{wr.bindings.design}}"}, extensionPoints=[point])
    assert told(wrong) == ["unknown-token steps[0].prompt"]


# --- blocks and features ----------------------------------------------------------------


def test_blocks_are_rendered_in_their_order() -> None:
    result = made(
        {
            "id": "one",
            "promptBlocks": {
                "verify": ["Run it."],
                "outputRequired": {"plan": "The plan", "notes": "Why\nand how"},
                "procedure": ["Look.", "Cut\nit."],
                "constraints": ["No new file."],
                "goal": "Mend {{goal}}.",
            },
        }
    )
    assert result.script.prompts["one"].startswith(
        "# Step 1 of 1: The one\n\n"
        "## Goal\nMend {{goal}}.\n\n"
        "## Constraints\n- No new file.\n\n"
        "## Procedure\n1. Look.\n2. Cut\n   it.\n\n"
        "## Output Required\n- plan: The plan\n- notes: Why\n  and how\n\n"
        "## Verify\n- Run it."
    )


def test_a_feature_adds_to_blocks_and_leaves_prompts_alone() -> None:
    result = made(
        {"id": "one", "promptBlocks": {"goal": "G", "constraints": ["C"]}},
        {"id": "two", "prompt": "P"},
        features=["wr.features.capabilities", "wr.features.memory_context"],
    )
    assert (
        "## Goal\nG\n\n## Constraints\n- C\n- Use what is there.\n\n"
        "## Procedure\n1. Recall.\n\n## Verify\n- It was."
    ) in result.script.prompts["one"]
    assert "Use what is there." not in result.script.prompts["two"]


# --- functions --------------------------------------------------------------------------

WEIGH = {
    "name": "weigh",
    "definition": "Weigh {what} {times} times, {{goal}} and {else}.",
    "parameters": [
        {"name": "what", "type": "string", "default": "it"},
        {"name": "times", "type": "number", "default": 2},
    ],
}


def test_a_function_is_put_in_where_a_text_mentions_it() -> None:
    result = made(
        {
            "id": "one",
            "prompt": "Then weigh() and x.weigh() and reweigh() and weigh(1).",
            "promptFragments": [{"id": "f", "text": "weigh()"}],
            "title": "weigh()",
        },
        functionDefinitions=[WEIGH],
    )
    text = "Weigh it 2 times, {{goal}} and {else}."
    expected = f"Then {text} and x.weigh() and reweigh() and weigh(1)."
    assert expected in result.script.prompts["one"]
    assert result.script.fragments["one/f"] == text
    assert result.plan.steps[0].title == "weigh()"


def test_a_function_is_added_where_a_step_refers_to_it_or_calls_it() -> None:
    result = made(
        {
            "id": "one",
            "prompt": "P",
            "functionReferences": ["weigh()"],
            "functionCalls": [{"name": "weigh", "args": {"what": "gold", "times": 3}}],
        },
        {"id": "two", "prompt": "Now weigh()", "functionReferences": ["weigh()"]},
        functionDefinitions=[WEIGH],
    )
    assert (
        "P\n\nWeigh it 2 times, {{goal}} and {else}.\n\nWeigh gold 3 times, {{goal}} and {else}."
    ) in result.script.prompts["one"]
    assert result.script.prompts["two"].count("Weigh it") == 1


def test_the_inner_definition_of_a_function_counts() -> None:
    def define(text: str) -> list[dict[str, Any]]:
        return [{"name": "f", "definition": text}]

    loop = {
        "id": "again",
        "type": "loop",
        "loop": {"type": "for", "count": 1, "maxIterations": 1},
        "functionDefinitions": define("LOOP"),
        "body": [
            {"id": "in-1", "prompt": "f()"},
            {"id": "in-2", "prompt": "f()", "functionDefinitions": define("STEP")},
        ],
    }
    result = made({"id": "one", "prompt": "f()"}, loop, functionDefinitions=define("SPEC"))
    texts = {name: prompt.split("\n\n")[1] for name, prompt in result.script.prompts.items()}
    assert texts == {"one": "SPEC", "in-1": "LOOP", "in-2": "STEP"}


def test_a_function_that_names_itself_is_put_in_once() -> None:
    result = made(
        {"id": "one", "prompt": "f()"}, functionDefinitions=[{"name": "f", "definition": "f() f()"}]
    )
    assert result.script.prompts["one"].split("\n\n")[1] == "f() f()"


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"functionReferences": ["wiegh()"]}, "unknown-function steps[0].functionReferences[0]"),
        ({"functionCalls": [{"name": "other"}]}, "unknown-function steps[0].functionCalls[0]"),
        (
            {"functionCalls": [{"name": "pair", "args": {"n": 1}}]},
            "missing-argument steps[0].functionCalls[0]",
        ),
        (
            {"functionCalls": [{"name": "strict", "args": {"n": "x"}}]},
            "wrong-argument steps[0].functionCalls[0]",
        ),
        (
            {"functionCalls": [{"name": "strict", "args": {"n": 3}}]},
            "wrong-argument steps[0].functionCalls[0]",
        ),
        (
            {"functionCalls": [{"name": "strict", "args": {"n": 1, "m": 1}}]},
            "unknown-argument steps[0].functionCalls[0]",
        ),
    ],
)
def test_a_function_is_called_as_it_is_defined(step: dict[str, Any], said: str) -> None:
    strict = {
        "name": "strict",
        "definition": "{n}",
        "parameters": [{"name": "n", "type": "number", "required": True, "enum": [1, 2]}],
    }
    number = {"type": "number", "required": True}
    pair = {
        "name": "pair",
        "definition": "{n} {m}",
        "parameters": [{"name": "n", **number}, {"name": "m", **number}],
    }
    found = told(authored({"id": "one", **step}, functionDefinitions=[WEIGH, strict, pair]))
    assert found == [said]


def test_a_bare_reference_leaves_the_arguments_to_the_agent() -> None:
    number = {"name": "n", "type": "number", "required": True}
    strict = {"name": "strict", "definition": "Weigh {n}.", "parameters": [number]}
    result = made({"id": "one", "prompt": "Now strict()"}, functionDefinitions=[strict])
    assert "Weigh <n>." in result.script.prompts["one"]
