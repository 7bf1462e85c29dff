"""The library: what each spec ends in, which variables select its branches, how its delegations
fit the routines that they are made to, and how many sessions it may ask for."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.engine.playing import Play
from tests.specs.library import (
    ENDS,
    LARGE,
    LIBRARY,
    SESSIONS,
    SHAPED,
    SLICES,
    THOROUGH,
    WAYS,
    Way,
    compiled,
    delegations,
    played,
    run_with,
    step_of,
    walked,
)
from worktrain.contracts.plan import Compiled, Parallel, PlanStep
from worktrain.contracts.session import RunChildren
from worktrain.contracts.workspace import Limits
from worktrain.engine import conditions, context_check, schemas

ROUTINES = tuple(name for name in LIBRARY if name not in SESSIONS)
IDEAS = [
    {"idea": "Leave the step out.", "because": "Nobody reads it.", "cost": "", "firstStep": "Ask."}
]
FAMILIES = LIBRARY["routine-reviewer-family"].needs["family"]["enum"]  # type: ignore[index]

SAID: tuple[tuple[str, str, dict[str, Any], tuple[str, ...]], ...] = (
    ("standup", "digest", {"quiet": True}, ("quiet",)),
    ("standup", "digest", {"quiet": False}, ()),
    ("standup", "collect", {"openWork": ""}, ()),
    ("standup", "collect", {"openWork": "#1 Export"}, ("open-work",)),
    ("retrospective", "digest", {}, ()),
    ("retrospective", "digest", {"ideas": IDEAS}, ("measures",)),
    ("triage-issue", "triage", {"faultState": "seen", "known": "no"}, ()),
    ("triage-issue", "triage", {"faultState": "untried", "known": "fixed"}, ("not-seen", "fixed")),
    ("triage-alert", "triage", {"alertState": "firing", "mitigationWanted": False}, ()),
    (
        "triage-alert",
        "triage",
        {"alertState": "flapping", "mitigationWanted": True},
        ("mitigated", "not-firing"),
    ),
    ("test-coverage-audit", "report", {"suiteState": "absent"}, ("absent",)),
    ("performance-audit", "report", {"measurable": True}, ()),
    ("performance-audit", "report", {"measurable": False}, ("unmeasured",)),
    ("documentation-update", "hand-over", {"batchState": "truth-unknown"}, ("unknown",)),
    ("author-a-spec", "shape", {"specForm": "session"}, ()),
    ("author-a-spec", "shape", {"specForm": "routine"}, ("routine",)),
    ("shaping", "read-upstream", {"upstreamSpec": "Decided."}, ("upstream",)),
    (
        "coding-task",
        "survey",
        {"upstreamSpec": "Decided.", "projectSpec": "Written."},
        ("upstream", "project"),
    ),
    ("coding-task", "build-slice", {"slices": SLICES}, ()),
    ("coding-task", "build-slice", {"slices": SHAPED * 2}, ()),
    ("coding-task", "build-slice", {"slices": SHAPED}, ("one-of-many",)),
    (
        "coding-task",
        "hand-over",
        {"slices": SHAPED, "sliceState": "stuck"},
        ("one-of-many", "stuck"),
    ),
    (
        "routine-reviewer-family",
        "examine",
        {"family": "security", "aspect": "uploads"},
        ("narrowed", "security"),
    ),
)
"""Spec, step, variables, and the fragments that are then said."""

LEFT = (
    ("coding-task", "build", {"sliceState": "stuck"}, {"sliceState": "mended"}),
    ("performance-audit", "explain", {"hotspotState": "enough"}, {"hotspotState": "explained"}),
    ("documentation-update", "update", {"batchState": "truth-unknown"}, {"batchState": "mended"}),
    (
        "routine-execution-simulation",
        "trace",
        {"traceState": "unreadable"},
        {"traceState": "stuck"},
    ),
    (
        "routine-feedback-resolution",
        "settle",
        {"remarkState": "halted"},
        {"remarkState": "changed"},
    ),
)
"""Loops over a list: what ends them early, and what does not."""

GATES = {
    ("architecture-design", "commit"): "human_approval",
    ("coding-task", "agree-plan"): "human_approval",
    ("shaping", "agree-bounds"): "human_approval",
    ("triage-alert", "agree-mitigation"): "human_approval",
    ("ui-ux-design", "directions"): "human_approval",
}
"""Every step of the library that waits for somebody."""


def children(play: Play) -> int:
    asked = (command for command in play.commands if isinstance(command, RunChildren))
    return sum(len(one.children) for one in asked)


# --- ends and ways -------------------------------------------------------------------------


def test_what_every_session_ends_in_is_told_here() -> None:
    assert set(ENDS) == set(SESSIONS) == {way.spec for way in WAYS}


@pytest.mark.parametrize(("name", "kind"), ENDS.items())
def test_a_session_ends_in_its_contract(name: str, kind: str) -> None:
    last = compiled(name).plan.steps[-1]
    assert last.contract == kind
    assert last.when is None


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.spec} {','.join(way.variables)}")
def test_variables_select_the_steps_that_run(way: Way) -> None:
    assert [step.id for step in run_with(way.spec, way.variables)] == way.steps.split()


@pytest.mark.parametrize("decision", ["stop", "continue"])
@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.spec} {','.join(way.variables)}")
def test_an_agent_that_does_what_is_asked_comes_to_the_end(way: Way, decision: str) -> None:
    play = played(way.spec, way.variables, decision)
    assert play.refusals == []
    authored = {ask.variable for step in walked(compiled(way.spec)) for ask in step.asks}
    assert {question.variable for question in play.asked} <= authored
    for prompt in play.prompts:
        unset = {path: text for path, text in prompt.values.items() if "[unset" in text}
        assert unset == {}, prompt.step
    # A loop and a parallel step are not said themselves.
    top = {step.id for step in play.plan.steps if not step.loop and not step.parallel}
    assert [one for one in play.way if one in top] == [s for s in way.steps.split() if s in top]


@pytest.mark.parametrize("name", ROUTINES)
def test_a_routine_comes_to_its_end_and_gives_what_it_promises(name: str) -> None:
    play = played(name, {})
    assert play.refusals == []
    assert play.asked == []
    assert play.state
    assert play.plan.gives
    assert set(play.plan.gives) <= set(play.plan.steps[-1].gives)
    assert set(play.plan.gives) <= set(play.state.context)


@pytest.mark.parametrize(("name", "step", "variables", "said"), SAID)
def test_variables_select_what_is_said(
    name: str, step: str, variables: dict[str, Any], said: tuple[str, ...]
) -> None:
    fragments = step_of(name, step).fragments
    holding = [f.id for f in fragments if f.when is None or conditions.holds(f.when, variables)]
    assert tuple(holding) == said


def test_a_cause_that_was_not_shown_leads_back_to_the_hypotheses_once() -> None:
    play = played("bug-investigation", {"causeShown": False, "reproduction": "reliable"})
    assert play.way.count("hypothesise") == 2
    assert play.way[-1] == "report"


def test_a_surface_that_was_found_late_is_attacked_once_more() -> None:
    (jump,) = step_of("security-audit", "chain").jumps
    assert (jump.to, jump.jumps_max) == ("attack-surfaces", 1)
    assert conditions.holds(jump.when, {"newSurface": True})
    assert not conditions.holds(jump.when, {"newSurface": False})


def test_a_large_task_without_slices_is_cut_into_some() -> None:
    cut = step_of("coding-task", "plan.cut")
    assert cut.when is not None
    assert conditions.holds(cut.when, {**LARGE, "slices": []})
    assert not conditions.holds(cut.when, {**LARGE, "slices": SLICES})
    assert "plan.cut" not in [step.id for step in run_with("coding-task", {})]
    assert context_check.missing({"slices": cut.gives["slices"]}, {"slices": SLICES}) == ()
    play = played("coding-task", {**LARGE, "solutionOpen": False})
    assert play.asked == []
    assert play.way.index("plan.cut") < play.way.index("build-slice@1")


def test_who_waits_for_a_person_is_told_here() -> None:
    gates = {
        (name, step.id): step.confirm.kind
        for name in LIBRARY
        for step in walked(compiled(name))
        if step.confirm
    }
    assert gates == GATES


def test_a_drafted_spec_is_handed_over_as_a_change_too() -> None:
    contracts = [step.contract for step in compiled("author-a-spec").plan.steps if step.contract]
    assert contracts == ["wr.coding_handoff", "wr.spec_draft"]


# --- variables -----------------------------------------------------------------------------

INJECTED = [
    (name, variable, schema)
    for name in LIBRARY
    for variable, schema in compiled(name).plan.needs.items()
    if "default" in schema
]
"""Spec, variable and JSON Schema of what may be injected and need not."""


@pytest.mark.parametrize("name", LIBRARY)
def test_every_variable_that_a_condition_reads_is_declared(name: str) -> None:
    made = compiled(name)
    steps = tuple(walked(made))
    declared = {*made.plan.needs}
    for step in steps:
        declared |= {*step.needs, *step.gives, *(ask.variable for ask in step.asks)}
        declared |= {source.variable for source in step.gathers}
        for one in step.parallel.delegations if step.parallel else ():
            declared |= set(one.gives)
    read = {
        variable
        for step in steps
        for condition in _conditions(step)
        for variable in conditions.variables(condition)
    }
    assert {path.partition(".")[0] for path in read} <= declared


@pytest.mark.parametrize(("name", "variable", "schema"), INJECTED)
def test_an_injected_variable_says_what_it_is_for_and_changes_what_is_done(
    name: str, variable: str, schema: dict[str, Any]
) -> None:
    assert len(schema["description"]) > 10
    bare = {key: one for key, one in schema.items() if key != "default"}
    values = schema.get("enum") or [schema["default"], schemas.example_of(bare)]
    if schema["type"] == "array":
        values[1] = values[1] or [schemas.example_of(schema["items"])]
    found = [one for step in walked(compiled(name)) for one in _conditions(step)]
    answers = {tuple(conditions.holds(one, {variable: value}) for one in found) for value in values}
    assert len(answers) > 1


@pytest.mark.parametrize("name", LIBRARY)
def test_what_is_looked_for_before_a_step_has_a_place_to_look_at(name: str) -> None:
    for step in walked(compiled(name)):
        for source in step.gathers:
            assert source.paths or source.task_url, f"{step.id}: {source.variable}"


# --- loops ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "step", "ends", "goes_on"), LEFT)
def test_a_loop_over_a_list_is_left_early_for_a_reason(
    name: str, step: str, ends: dict[str, str], goes_on: dict[str, str]
) -> None:
    loop = step_of(name, step).loop
    assert loop is not None
    assert loop.exit_when is not None
    assert conditions.holds(loop.exit_when, ends)
    assert not conditions.holds(loop.exit_when, goes_on)
    variable = next(iter(ends))
    allowed = next(one.gives[variable]["enum"] for one in loop.body if variable in one.gives)
    assert {ends[variable], goes_on[variable]} <= set(allowed)


def test_a_slice_that_got_stuck_keeps_the_later_ones_from_being_begun() -> None:
    play = played("coding-task", {"slices": SLICES * 3, "sliceState": "stuck"})
    assert play.way.count("build-slice@1") == 1
    assert "build-slice@2" not in play.way
    assert play.way[-1] == "hand-over"


@pytest.mark.parametrize("name", LIBRARY)
def test_a_list_that_is_worked_off_is_not_longer_than_its_loop(name: str) -> None:
    given = most_items(compiled(name))
    for step in walked(compiled(name)):
        if step.loop and step.loop.type == "forEach":
            assert given[step.loop.items or ""] <= step.loop.passes_max, step.id


def test_the_checker_of_specs_is_run_until_it_is_clean_or_not_there() -> None:
    loop = step_of("author-a-spec", "validate").loop
    assert loop is not None
    assert loop.type == "until"
    assert loop.when is not None
    ended = {
        state: conditions.holds(loop.when, {"checkState": state} if state else {})
        for state in ("", "faults", "clean", "unavailable")
    }
    assert ended == {"": False, "faults": False, "clean": True, "unavailable": True}


# --- sessions of sessions ------------------------------------------------------------------


@pytest.mark.parametrize("name", ENDS)
def test_a_session_never_asks_for_more_sessions_than_it_may_run(name: str) -> None:
    made = compiled(name)
    given = most_items(made)
    asked = 0
    for step in made.plan.steps:
        jumps = [jump for one in made.plan.steps for jump in one.jumps if jump.to == step.id]
        times = 1 + sum(jump.jumps_max for jump in jumps)
        if step.parallel:
            asked += times * sessions(step.parallel, given)
        for one in step.loop.body if step.loop else ():
            if one.parallel:
                assert step.loop
                asked += times * step.loop.passes_max * sessions(one.parallel, given)
    assert asked <= Limits().children_max


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("coding-task", {**LARGE, "riskLevel": "Critical", "solutionOpen": True}),
        ("architecture-design", {"reach": "system"}),
        ("discovery", THOROUGH),
        ("review", THOROUGH),
    ],
)
def test_a_large_task_may_run_all_the_sessions_that_it_asks_for(
    name: str, variables: dict[str, Any]
) -> None:
    assert 0 < children(played(name, variables, "continue")) <= Limits().children_max


@pytest.mark.parametrize("name", ENDS)
def test_a_delegation_gives_its_routine_what_that_needs(name: str) -> None:
    for step, one in delegations(name):
        routine = compiled(one.spec).plan
        given = {*one.context, *one.args}
        wanted = {variable for variable, schema in routine.needs.items() if "default" not in schema}
        assert wanted <= given <= set(routine.needs), f"{step.id}: {one.name}"
        for path in one.gives.values():
            assert path.removeprefix("given.") in routine.gives, f"{step.id}: {one.name}"


@pytest.mark.parametrize("name", ENDS)
def test_a_delegated_session_cannot_edit_files(name: str) -> None:
    for step, one in delegations(name):
        assert one.tools, f"{step.id}: {one.name}"
        assert not {"Write", "Edit", "spawn_agent"} & set(one.tools), f"{step.id}: {one.name}"


def test_a_review_asks_only_the_families_that_were_selected() -> None:
    packet = step_of("review", "freeze-facts")
    families = packet.gives["selectedReviewerFamilies"]["items"]["enum"]
    asked = {
        family: [
            one.args["family"]
            for _, one in delegations("review")
            if one.when and conditions.holds(one.when, {"selectedReviewerFamilies": [family]})
        ]
        for family in families
    }
    assert asked == {family: [family] for family in families}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_is_told_its_own_aspect_and_no_other(family: str) -> None:
    fragments = step_of("routine-reviewer-family", "examine").fragments
    said = [
        one.id for one in fragments if one.when and conditions.holds(one.when, {"family": family})
    ]
    assert said == [family]


def test_families_that_specs_choose_from_exist() -> None:
    chosen = {
        "review": step_of("review", "freeze-facts").gives["selectedReviewerFamilies"],
        "production-readiness-audit": step_of("production-readiness-audit", "freeze-facts").gives[
            "auditFamilies"
        ],
    }
    for name, wanted in chosen.items():
        assert set(wanted["items"]["enum"]) <= set(FAMILIES), name
    fixed = [
        one.args["family"] for name in ENDS for _, one in delegations(name) if "family" in one.args
    ]
    assert fixed
    assert set(fixed) <= set(FAMILIES)


def most_items(made: Compiled) -> dict[str, int]:
    """The most items that each list may have that a step or a caller gives."""
    schemas = [*made.plan.needs.items()]
    schemas += [one for step in walked(made) for one in step.gives.items()]
    return {name: schema["maxItems"] for name, schema in schemas if "maxItems" in schema}


def sessions(parallel: Parallel, given: dict[str, int]) -> int:
    times = given[parallel.items] if parallel.items else 1
    return times * len(parallel.delegations)


def _conditions(step: PlanStep) -> Iterator[dict[str, Any]]:
    delegated = step.parallel.delegations if step.parallel else ()
    of_parts = (
        *(one.when for one in step.fragments),
        *(one.when for one in step.asks),
        *(one.when for one in step.jumps),
        *(one.when for one in delegated),
    )
    of_loop = (step.loop.when, step.loop.exit_when) if step.loop else ()
    of_gate = step.confirm.when if step.confirm else None
    for condition in (step.when, of_gate, *of_parts, *of_loop):
        if condition is not None:
            yield condition
