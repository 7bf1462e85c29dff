"""Specs inspected before a run: what is found, where, and what is left in peace."""

from typing import Any

import pytest
import yaml

from tests.engine.conftest import words
from worktrain.contracts.spec import Spec
from worktrain.engine.compile import Around, compile_spec
from worktrain.engine.fault import Fault
from worktrain.engine.inspect import faults

HEAD = {"id": "sample", "name": "Sample", "description": "A sample.", "version": "1.0.0"}
STEERED = "{kind: artifact_contract, contractRef: wr.contracts.loop_control, loopId: l}"


def step(name: str, prompt: str = "Do it.", **fields: Any) -> dict[str, Any]:
    return {"id": f"step-{name}", "title": name, "prompt": prompt, **fields}


def loop(rules: dict[str, Any], *body: dict[str, Any], **fields: Any) -> dict[str, Any]:
    rules = {"type": "while", "maxIterations": 3, **rules}
    return {"id": "step-loop", "title": "Loop", "type": "loop", "loop": rules, "body": [*body]} | (
        fields
    )


def fan(*delegations: dict[str, Any], **fields: Any) -> dict[str, Any]:
    called = [{"workflowId": "routine-x", "goal": "Look.", **one} for one in delegations]
    fan_out = {"id": "step-fan", "title": "Fan", "type": "parallel"}
    return {**fan_out, "parallelDelegations": called, **fields}


def found(*steps: dict[str, Any], **spec: Any) -> tuple[Fault, ...]:
    authored = Spec.model_validate({**HEAD, **spec, "steps": [*steps]})
    return faults(authored, compile_spec(authored, words()).plan)


def only(rule: str, *steps: dict[str, Any], **spec: Any) -> Fault:
    """The one fault of that rule; there may be others."""
    (fault,) = [one for one in found(*steps, **spec) if one.rule == rule]
    return fault


def rules(*steps: dict[str, Any], **spec: Any) -> list[str]:
    return [one.rule for one in found(*steps, **spec)]


BOOL = {"x": "boolean"}
X = {"var": "x", "equals": True}


# --- context read before anything gives it ---------------------------------------------------


@pytest.mark.parametrize(
    ("reader", "at"),
    [
        (step("two", runCondition=X), ("steps", 1, "runCondition")),
        (step("two", "Use {{x.y}}."), ("steps", 1)),
        (
            step("two", promptFragments=[{"id": "a", "text": "t", "when": X}]),
            ("steps", 1, "promptFragments", 0, "when"),
        ),
        (
            step("two", promptFragments=[{"id": "a", "text": "{{x}}"}]),
            ("steps", 1, "promptFragments", 0, "text"),
        ),
        (
            step("two", questions=[{"id": "q", "text": "Is it?", "when": X}]),
            ("steps", 1, "questions", 0, "when"),
        ),
        (step("two", requireConfirmation=X), ("steps", 1, "requireConfirmation")),
        (
            step("two", jumpIf=[{"condition": X, "to": "step-one", "maxJumps": 1}]),
            ("steps", 1, "jumpIf", 0, "condition"),
        ),
        (loop({"type": "forEach", "items": "x"}, step("in")), ("steps", 1, "loop", "items")),
        (loop({"type": "for", "count": "x"}, step("in")), ("steps", 1, "loop", "count")),
        (
            loop({"type": "for", "count": 2, "exitWhen": X}, step("in")),
            ("steps", 1, "loop", "exitWhen"),
        ),
        (
            fan({"runCondition": X}),
            ("steps", 1, "parallelDelegations", 0, "runCondition"),
        ),
        (fan({"goal": "Look at {{x}}."}), ("steps", 1, "parallelDelegations", 0)),
        (fan({"args": {"a": ["{{x}}"]}}), ("steps", 1, "parallelDelegations", 0)),
        (fan({"contextMapping": {"x.y": "z"}}), ("steps", 1, "parallelDelegations", 0)),
        (fan({}, forEach={"items": "x"}), ("steps", 1, "forEach", "items")),
    ],
)
def test_a_variable_is_read_before_anything_gives_it(
    reader: dict[str, Any], at: tuple[str | int, ...]
) -> None:
    last = step("last")
    fault = only("unset-variable", step("one"), reader, last)
    assert (fault.path, fault.level) == (at, "warning")
    assert "'x" in fault.message
    for giver, spec in (
        (step("one", gives=BOOL), {}),
        (step("one", questions=[{"id": "x", "text": "Is it?"}]), {}),
        (step("one", contextGather=[{"variable": "x", "paths": ["a"]}]), {}),
        (step("one", "Find it out and set `x`."), {}),
        (step("one"), {"needs": BOOL}),
        (step("one"), {"metaGuidance": ["Keep x up to date."]}),
    ):
        assert "unset-variable" not in rules(giver, reader, last, **spec)


def test_what_is_only_needed_by_declaration_is_an_error_unless_a_text_mentions_it() -> None:
    needing = step("two", needs=BOOL)
    fault = only("unset-variable", step("one"), needing)
    assert (fault.path, fault.level) == (("steps", 1, "needs", "x"), "error")
    assert only("unset-variable", step("one", "Set x."), needing).level == "warning"
    assert rules(step("one", gives=BOOL), needing) == []
    assert rules(step("two", needs=BOOL, questions=[{"id": "x", "text": "Is it?"}])) == []


def test_a_variable_that_is_nearly_a_given_one_is_told_with_it() -> None:
    steps = step("one", gives={"taskSize": "string"}), step("two", "Mind {{taskSizes}}.")
    assert only("unset-variable", *steps).message.endswith("did you mean 'taskSize'?")


def test_what_is_only_shown_in_a_text_is_not_given_by_it() -> None:
    assert rules(step("one", "See {{x}}."), step("two", "See {{x}}.")) == ["unset-variable"]


def test_a_variable_that_many_steps_read_is_told_once() -> None:
    fault = only("unset-variable", *(step(name, runCondition=X) for name in ("a", "b", "c")))
    assert fault.path == ("steps", 0, "runCondition")
    assert "as do 2 more" in fault.message


def test_a_variable_that_is_only_used_where_it_is_there_may_be_unset() -> None:
    guarded = [{"id": "a", "text": "Because {{x}}.", "when": {"var": "x"}}]
    assert rules(step("one", promptFragments=guarded)) == []
    assert rules(step("one", "See {{x}}.", runCondition={"not": {"var": "x"}})) == []
    given = step("one", gives={"taskSize": "string"})
    fault = only("unset-variable", given, step("two", runCondition={"var": "taskSizes"}))
    assert fault.message.endswith("did you mean 'taskSize'?")


def test_what_a_step_would_gather_may_have_been_given_at_the_start() -> None:
    gathering = step("one", runCondition=X, contextGather=[{"variable": "x"}])
    assert rules(gathering, step("two", "{{x}}")) == []
    assert rules({**gathering, "runCondition": {"var": "y", "gt": 1}}) == ["unset-variable"]


def test_variables_of_the_system_and_of_loops_are_given() -> None:
    own = step("own", "{{goal}} {{pitchPath}} {{assessments.a.b}}", runCondition={"var": "prUrl"})
    each = loop(
        {"type": "forEach", "items": "all"},
        step(
            "in",
            "{{currentItem.name}} {{currentIndex}} {{currentIteration}}",
            needs={"currentItem": "object"},
        ),
    )
    children = fan({"goal": "{{currentItem}} {{currentIndex}}"}, forEach={"items": "all"})
    last = step("last", "{{delegationResults}}")
    assert rules(own, step("list", "Fill `all`."), each, children, last) == []
    assert rules(step("one"), step("two", "{{currentItem}}")) == ["unset-variable"]


def test_a_later_step_of_a_loop_gives_to_an_earlier_one_in_its_next_pass() -> None:
    body = step("in", runCondition=X), step("out", gives=BOOL)
    assert rules(loop({"type": "for", "count": 2}, *body)) == []
    assert rules(*body) == ["unset-variable"]
    back = [{"condition": X, "to": "step-in", "maxJumps": 2}]
    assert rules(body[0], {**body[1], "jumpIf": back}) == []


def test_delegations_give_their_results() -> None:
    children = fan({"gives": {"x": "given.y"}}, resultsVar="results")
    assert rules(children, step("two", "{{x}} {{results}}")) == []
    synthesis = {"prompt": "Put together.", "gives": {"y": "string"}}
    assert rules(fan({}, synthesis=synthesis), step("two", "{{y}}")) == []


def test_a_gate_that_reads_what_only_later_steps_give_is_too_early() -> None:
    gated = step("one", requireConfirmation={"kind": "coordinator_eval", "condition": X})
    fault = only("late-gate", gated, step("two", gives=BOOL))
    assert (fault.path, fault.level) == (("steps", 0, "requireConfirmation"), "error")
    assert "'step-two'" in fault.message
    assert only("late-gate", gated, step("two", "Set x.")).level == "warning"
    assert "late-gate" not in rules({**gated, "gives": BOOL}, step("two", gives=BOOL))


# --- what can happen -------------------------------------------------------------------------


def test_a_step_that_can_never_run_is_found_once_with_its_reason() -> None:
    never = {"and": [{"var": "x", "equals": "a"}, {"var": "x", "equals": "b"}]}
    steps = step("one", "Set x."), step("two", runCondition=never)
    fault = only("unreachable-step", *steps)
    assert (fault.path, fault.level) == (("steps", 1, "runCondition"), "warning")
    assert "x is 'a' and x is 'b' never holds" in fault.message
    whole = loop({"type": "for", "count": 2}, step("in"), runCondition=never)
    assert rules(step("one", "Set x."), whole) == ["unreachable-step"]
    declared = step("one", gives={"x": {"enum": ["a", "b"]}})
    fault = only("unreachable-step", declared, step("two", runCondition={"var": "x", "equals": 1}))
    assert fault.level == "error"


def test_other_conditions_that_never_hold_are_found() -> None:
    wrong = {"var": "x", "equals": "bigg"}
    fields: dict[str, Any] = {
        "promptFragments": [{"id": "a", "text": "t", "when": wrong}],
        "requireConfirmation": wrong,
        "jumpIf": [{"condition": wrong, "to": "step-one", "maxJumps": 1}],
    }
    some = found(step("one", gives={"x": {"enum": ["big", "small"]}}), step("two", **fields))
    assert [one.rule for one in some] == ["condition-never-holds"] * 3
    assert all(one.message.endswith("did you mean 'big'?") for one in some)
    assert [one.path[2] for one in some] == ["jumpIf", "promptFragments", "requireConfirmation"]


def test_a_step_behind_an_unconditional_jump_is_unreachable() -> None:
    always = {"not": {"and": [{"var": "x", "equals": 1}, {"var": "x", "equals": 2}]}}
    jumping = step(
        "one", "Set x.", jumpIf=[{"condition": always, "to": "step-three", "maxJumps": 1}]
    )
    assert rules(jumping, step("two"), step("three")) == ["unreachable-step"]


def test_a_loop_needs_a_step_that_can_end_it() -> None:
    while_x = {"condition": {"var": "x", "equals": True}}
    before = step("one", gives=BOOL)
    fault = only("loop-without-exit", before, loop(while_x, step("in")))
    assert (fault.path, fault.level) == (("steps", 1, "loop", "condition"), "error")
    source = {"conditionSource": {"kind": "context_variable", **while_x}}
    fault = only("loop-without-exit", before, loop(source, step("in")))
    assert fault.path == ("steps", 1, "loop", "conditionSource", "condition")
    mentions = step("one", "Set x.")
    assert only("loop-without-exit", mentions, loop(while_x, step("in"))).level == "warning"
    until = loop({"type": "until", **while_x}, step("in"))
    assert "loop-without-exit" in rules(before, until)
    out = step("in", jumpIf=[{"condition": X, "to": "step-one", "maxJumps": 1}])
    for body, changed in (
        (step("in", gives=BOOL), while_x),
        (step("in", "Set `x` to false when it works."), while_x),
        (step("in"), {**while_x, "exitWhen": {"var": "currentIteration", "gte": 2}}),
        (step("in"), {"condition": {"var": "currentIteration", "lt": 2}}),
        (out, while_x),
    ):
        assert "loop-without-exit" not in rules(before, loop(changed, body))


def test_a_loop_that_no_value_ends_is_found() -> None:
    declared = step("one", gives={"x": {"enum": ["a", "b"]}})
    always = {"condition": {"var": "x", "not_equals": "c"}}
    fault = only("loop-without-exit", declared, loop(always, step("in", gives=BOOL)))
    assert "always holds" in fault.message


def test_a_while_loop_whose_variable_is_unset_at_first_never_begins() -> None:
    in_body = step("in", gives=BOOL)
    waits = loop({"condition": X}, in_body)
    assert rules(step("one"), waits) == ["loop-never-begins"]
    assert rules(waits) == ["loop-never-begins"]
    assert rules(step("one", gives=BOOL), waits) == []
    assert rules(step("one"), loop({"condition": {"not": X}}, in_body)) == []
    assert rules(step("one"), loop({"type": "until", "condition": X}, in_body)) == []


def test_a_loop_steered_by_artifacts_needs_a_step_that_delivers_them() -> None:
    steered = {"conditionSource": yaml.safe_load(STEERED)}
    fault = only("loop-without-steering", loop(steered, step("in")))
    assert (fault.path, fault.level) == (("steps", 0, "loop"), "warning")
    assert "'wr.contracts.loop_control'" in fault.message
    contract = {"contractRef": "wr.contracts.loop_control"}
    assert rules(loop(steered, step("in", outputContract=contract))) == []
    optional = {**contract, "required": False}
    assert rules(loop(steered, step("in", outputContract=optional))) == []
    fault = only("loop-without-steering", loop(steered, fan({})))
    assert "a synthesis" in fault.message
    synthesis = {"prompt": "Decide.", "outputContract": contract}
    assert rules(loop(steered, fan({}, synthesis=synthesis))) == []


def test_counts_that_make_no_sense_are_found() -> None:
    def counted(count: int) -> list[str]:
        return rules(loop({"type": "for", "count": count}, step("in")))

    assert counted(3) == []
    assert counted(4) == ["cut-short-loop"]
    assert sorted(counted(0)) == ["empty-loop", "unreachable-step"]


def test_a_jump_that_cannot_come_again_needs_no_more_than_one() -> None:
    def jumping(to: str, most: int) -> list[str]:
        jump = {"condition": X, "to": to, "maxJumps": most}
        middle = step("two", "Set x.", jumpIf=[jump])
        return rules(step("one"), middle, step("three"))

    assert jumping("step-three", 2) == ["jump-only-once"]
    assert jumping("step-three", 1) == []
    assert jumping("step-one", 2) == []
    assert jumping("step-two", 2) == []


# --- what is asked for and delivered ---------------------------------------------------------


def test_what_the_spec_declares_to_give_some_step_has_to_give() -> None:
    gives = {"gives": {"result": "string"}}
    fault = only("never-given", step("one"), **gives)
    assert (fault.path, fault.level) == (("gives", "result"), "error")
    assert only("never-given", step("one", "Set result."), **gives).level == "warning"
    near = only("never-given", step("one", gives={"results": "string"}), **gives)
    assert near.message.endswith("did you mean 'results'?")
    assert rules(step("one", gives={"result": "string"}), **gives) == []
    assert rules(fan({"gives": {"result": "given.x"}}), step("two"), **gives) == []


def test_what_is_given_and_never_read_is_a_warning() -> None:
    fault = only("unused-variable", step("one", gives=BOOL), step("two"))
    assert (fault.path, fault.level) == (("steps", 0, "gives", "x"), "warning")
    assert rules(step("one", gives=BOOL), step("two", "Mind what x says.")) == []
    assert rules(step("one", gives=BOOL), step("two", runCondition=X)) == []


def test_results_that_nobody_hears_of_want_a_synthesis() -> None:
    fault = only("results-unheard", step("one"), fan({}))
    assert (fault.path, fault.level) == (("steps", 1), "warning")
    assert rules(fan({}), step("two")) == []
    assert rules(fan({}, synthesis={"prompt": "Put together."})) == []
    assert rules(loop({"type": "for", "count": 2}, fan({}), step("in"))) == []


def test_a_kind_of_the_project_that_no_step_delivers_is_found() -> None:
    authored = Spec.model_validate({**HEAD, "steps": [step("one")]})
    plan = compile_spec(authored, words()).plan
    wanting = plan.model_copy(update={"contracts": {"own.report": {}}})
    (fault,) = faults(authored, wanting)
    assert (fault.rule, fault.level) == ("contract-never-delivered", "error")


def test_an_assessment_that_no_step_makes_is_a_warning() -> None:
    dimension = {"id": "design", "purpose": "p", "levels": ["low", "high"]}
    assessments = [{"id": one, "purpose": "p", "dimensions": [dimension]} for one in ("a", "b")]
    fault = only("unused-assessment", step("one", assessmentRefs=["a"]), assessments=assessments)
    assert (fault.path, fault.level) == (("assessments", 1), "warning")


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "string", "enum": ["QUICK", "STANDARD"], "default": "quick"}, "STANDARD"),
        ({"type": "array", "default": ""}, "array"),
        ({"type": "array", "items": {"type": "string"}, "default": ["a", 1]}, "1"),
        ({"type": "string", "default": None}, "is not given"),
    ],
)
def test_a_default_of_what_the_spec_needs_satisfies_its_own_schema(
    schema: dict[str, Any], told: str
) -> None:
    fault = only("default-does-not-fit", step("one", "See {{x}}."), needs={"x": schema})
    assert (fault.path, fault.level) == (("needs", "x", "default"), "error")
    assert "`x`" in fault.message
    assert told in fault.message


def test_what_has_a_default_counts_as_given() -> None:
    x = {"type": "array", "items": {"type": "object"}, "default": []}
    body = step("in", needs={"item": "object"})
    reader = loop({"type": "forEach", "items": "x", "itemVar": "item"}, body)
    guarded = {**reader, "runCondition": {"var": "x"}}
    last = step("last", "{{x}}", runCondition={"not": {"var": "x"}})
    assert rules(guarded, last, needs={"x": x}) == []
    assert rules(step("one", needs={"x": x}), needs={"x": x}) == []


@pytest.mark.parametrize(
    ("field", "seeking"),
    [
        ("contextGather", {"variable": "x", "paths": ["a"]}),
        ("questions", {"id": "x", "text": "Which?"}),
    ],
)
def test_a_default_keeps_its_variable_from_being_looked_or_asked_for(
    field: str, seeking: dict[str, Any]
) -> None:
    steps = step("one"), step("two", "See {{x}}.", **{field: [seeking]})
    fault = only("hidden-by-default", *steps, needs={"x": {"type": "string", "default": ""}})
    assert (fault.path, fault.level) == (("steps", 1, field, 0), "warning")
    assert rules(*steps) == []
    assert rules(*steps, needs={"x": "string"}) == []


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("text", "x", 1),
        ("boolean", False, "no"),
        ("number", 1.5, True),
        ("choice", "fast", "fat"),
    ],
)
def test_a_default_has_the_type_of_its_question(kind: str, right: Any, wrong: Any) -> None:
    def asking(default: Any) -> dict[str, Any]:
        question = {"id": "x", "text": "Which?", "type": kind, "deadlineMinutes": 5}
        options = {"options": ["fast", "slow"]} if kind == "choice" else {}
        return step("one", questions=[{**question, **options, "default": default}])

    assert rules(asking(right)) == []
    fault = only("wrong-default", asking(wrong))
    assert (fault.path, fault.level) == (("steps", 0, "questions", 0, "default"), "error")
    assert fault.message.endswith(
        {"text": "in quotes", "boolean": "or false", "number": "like 3"}.get(
            kind, "did you mean 'fast'?"
        )
    )


# --- where it stands, and what is left in peace ------------------------------------------------


def test_faults_stand_where_the_author_wrote_and_in_that_order() -> None:
    inner = step("in", verification={"prompt": "See {{v}}."}, runCondition=X)
    some = found(
        step("one", "{{a}}"),
        loop({"type": "for", "count": 1}, inner),
        fan({}, synthesis={"prompt": "{{s}}"}),
        step("last"),
    )
    assert [one.path for one in some] == [
        ("steps", 0),
        ("steps", 1, "body", 0, "runCondition"),
        ("steps", 1, "body", 0, "verification"),
        ("steps", 2, "synthesis"),
    ]


def test_a_routine_whose_texts_stand_elsewhere_may_give_anything() -> None:
    routine = Spec.model_validate(
        {**HEAD, "id": "routine-find", "steps": [step("find", "Set x."), step("more", "{{y}}")]}
    )
    calls = {"id": "call-it", "title": "Call", "templateCall": {"templateId": "routine-find"}}
    reading = step("two", runCondition={**X, "equals": "a"})
    authored = Spec.model_validate({**HEAD, "steps": [calls, reading]})
    around = Around(routines={"routine-find": routine})
    assert faults(authored, compile_spec(authored, words(), around).plan) == ()
    first = Spec.model_validate({**HEAD, "steps": [reading, calls]})
    (fault,) = faults(first, compile_spec(first, words(), around).plan)
    assert fault.path == ("steps", 0, "runCondition")


WORKRAIL = """
id: wr.sample-task
name: Sample
description: A file in WorkRail's own words.
version: 1.0.0
preconditions: [The task has a description.]
metaGuidance: [Keep notes short.]
assessments:
  - id: soundness
    purpose: Is it sound
    dimensions: [{id: sound, purpose: Sound, levels: [low, high]}]
steps:
  - id: phase-0-triage
    title: Triage
    promptBlocks:
      goal: Classify the task.
      constraints: ["Ambiguous means the more careful value."]
      outputRequired:
        taskComplexity: Small, Medium or Large
        riskLevel: Low, Medium or High
        rigorMode: QUICK, STANDARD or THOROUGH
      verify: [It is classified.]
    requireConfirmation:
      or: [{var: taskComplexity, equals: Large}, {var: riskLevel, equals: High}]
  - id: phase-1-quick
    title: Quick
    runCondition: {var: rigorMode, equals: QUICK}
    prompt: Do it quickly.
    notesOptional: true
  - id: phase-1-deep
    title: Deep
    runCondition:
      and: [{var: rigorMode, in: [STANDARD, THOROUGH]}, {not: {var: taskComplexity, equals: Small}}]
    prompt: |
      Set context variables: `slices` (a list of {name, goal}) and selectedFamilies. {{pitchPath}}
    promptFragments:
      - {id: risky, when: {var: riskLevel, equals: high}, text: Be careful.}
    assessmentRefs: [soundness]
    assessmentConsequences:
      - when: {anyEqualsLevel: low}
        effect: {kind: require_followup, guidance: Mend it.}
  - id: phase-2-review
    type: loop
    title: Review
    runCondition: {var: taskComplexity, not_equals: Small}
    loop:
      type: while
      conditionSource:
        {kind: artifact_contract, contractRef: wr.contracts.loop_control, loopId: review}
      maxIterations: 2
    body:
      - id: phase-2a-look
        title: Look
        type: parallel
        parallelDelegations:
          - {workflowId: wr.routine-design-review, goal: "Review the design of {{goal}}"}
          - workflowId: wr.routine-design-review
            goal: Review the risk
            runCondition: {var: selectedFamilies, contains: risk}
            contextMapping: {riskLevel: risk}
      - id: phase-2b-decide
        title: Decide
        prompt: Stop or go on. This is pass {{currentIteration}}.
        outputContract: {contractRef: wr.contracts.loop_control}
        requireConfirmation: true
  - id: phase-3-slices
    type: loop
    title: Slices
    loop: {type: forEach, items: slices, itemVar: currentSlice, maxIterations: 20}
    body:
      - id: phase-3a-make
        title: Make
        agentRole: You make one slice and say whether verificationFailed is true.
        prompt: Make {{currentSlice.name}}, number {{currentIndex}}.
      - id: phase-3b-verify
        title: Verify
        runCondition: {var: verificationFailed}
        requireConfirmation: {kind: human_approval, condition: {var: verificationFailed}}
        prompt: Verify.
  - id: phase-3c-retry
    type: loop
    title: Retry
    loop: {type: until, condition: {var: allGreen, equals: true}, maxIterations: 5}
    body:
      - {id: phase-3d-retry, title: Try, prompt: Run the tests and set allGreen.}
  - id: phase-4-handoff
    title: Hand off
    runCondition: {var: is_autonomous, equals: "true"}
    prompt: Hand off {{metrics_commit_shas}}.
    requireConfirmation: true
    outputContract: {contractRef: wr.contracts.coding_handoff}
"""


def test_a_file_in_workrails_own_words_is_left_in_peace() -> None:
    authored = Spec.model_validate(yaml.safe_load(WORKRAIL))
    assert faults(authored, compile_spec(authored, words()).plan) == ()


def test_what_is_found_in_such_a_file_does_not_keep_it_from_running() -> None:
    broken = (
        WORKRAIL.replace(
            "outputContract: {contractRef: wr.contracts.loop_control}", "notesOptional: true"
        )
        .replace("and set allGreen", "again")
        .replace("selectedFamilies.", "")
        .replace("rigorMode, equals: QUICK", "rigour, equals: QUICK")
    )
    authored = Spec.model_validate(yaml.safe_load(broken))
    some = faults(authored, compile_spec(authored, words()).plan)
    assert [one.rule for one in some] == [
        "unset-variable",
        "unset-variable",
        "loop-without-steering",
        "unset-variable",
        "loop-without-exit",
    ]
    assert {one.level for one in some} == {"warning"}
