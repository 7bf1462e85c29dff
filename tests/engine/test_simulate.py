"""Plans walked with stub answers: what is reached, what is not and why, and how long it gets."""

import json
import time
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from worktrain.contracts.plan import Delegation, Jump, Loop, Parallel, Plan, PlanStep
from worktrain.engine import conditions
from worktrain.engine.simulate import Simulation, simulate

SIZES = {"enum": ["Small", "Medium", "Large"]}


def step(name: str, **fields: Any) -> PlanStep:
    return PlanStep(id=name, title=f"The {name}", **fields)


def plan(*steps: PlanStep, **fields: Any) -> Plan:
    return Plan(spec="sample", model_tier="mid", steps=steps, **fields)


def loop(name: str, *body: PlanStep, **rules: Any) -> PlanStep:
    fields = {"type": "while", "passes_max": 3, **rules}
    run_condition = fields.pop("run_condition", None)
    return step(name, loop=Loop(**fields, body=body), when=run_condition)


def jump(to: str, when: Any, most: int = 1) -> tuple[Jump, ...]:
    return (Jump(when=when, to=to, jumps_max=most),)


def is_(name: str, value: Any) -> dict[str, Any]:
    return {"var": name, "equals": value}


ALWAYS = {"not": {"and": [is_("a", 1), is_("a", 2)]}}


def why(simulation: Simulation) -> dict[str, str]:
    return {one.step: one.why for one in simulation.unreachable}


def test_steps_without_conditions_are_one_path() -> None:
    found = simulate(plan(step("one"), step("two")))
    assert (found.reached, found.unreachable, found.paths) == (("one", "two"), (), 1)
    assert found.longest == found.shortest
    assert (found.longest.steps, found.longest.turns) == (("one", "two"), 2)
    assert not found.cut_off


def test_a_variable_keeps_its_value_along_a_path() -> None:
    found = simulate(
        plan(
            step("triage"),
            step("quick", when=is_("size", "Small")),
            step("deep", when=is_("size", "Large")),
            step("deeper", when=is_("size", "large")),
        )
    )
    assert found.reached == ("triage", "quick", "deep", "deeper")
    assert found.longest.steps == ("triage", "deep", "deeper")
    assert found.shortest.steps == ("triage",)
    assert found.paths == 3


def test_a_variable_is_open_again_when_a_step_gives_it() -> None:
    first, second = step("first", when=is_("size", "Small")), step("second", when=is_("size", 7))
    again = step("again", gives={"size": {}})
    assert simulate(plan(first, second)).longest.turns == 1
    assert simulate(plan(first, again, second)).longest.turns == 3


def test_numbers_are_told_apart_between_the_bounds_that_are_written_down() -> None:
    bounds = [{"var": "n", "gt": 2}, {"var": "n", "lt": 3}]
    assert simulate(plan(step("one", when={"and": bounds}))).reached == ("one",)
    whole = plan(step("one", gives={"n": {"type": "integer"}}), step("two", when={"and": bounds}))
    assert why(simulate(whole)).keys() == {"two"}


def test_a_condition_that_contradicts_itself_makes_its_step_unreachable() -> None:
    never = {"and": [is_("size", "Small"), is_("size", "Large")]}
    found = simulate(plan(step("one"), step("two", when=never)))
    assert found.reached == ("one",)
    assert why(found) == {"two": "size is 'Small' and size is 'Large' never holds"}


def test_a_value_that_the_declared_type_does_not_have_is_named_with_the_nearest() -> None:
    sizes = step("one", gives={"size": SIZES})
    found = simulate(plan(sizes, step("two", when=is_("size", "Smal"))))
    assert why(found) == {
        "two": "size is 'Smal' never holds: size is one of 'Small', 'Medium', 'Large'; "
        "did you mean 'Small'?"
    }
    assert not simulate(plan(sizes, step("two", when=is_("size", "small")))).unreachable


def test_operators_that_look_into_a_text_may_always_hold_unless_the_values_are_known() -> None:
    tests = [{"var": "x", "startsWith": "ab"}, {"var": "x", "endsWith": "yz"}]
    tests += [{"var": "x", "matches": "^a.*m.*z$"}, {"var": "x", "contains": "m"}]
    assert simulate(plan(step("one", when={"and": tests}))).reached == ("one",)
    sizes = step("one", gives={"size": SIZES})
    for known, reached in (("Med", True), ("Mad", False)):
        found = simulate(plan(sizes, step("two", when={"var": "size", "startsWith": known})))
        assert ("two" in found.reached) is reached


def test_what_a_jump_always_passes_over_is_unreachable() -> None:
    steps = step("between"), step("target")
    found = simulate(plan(step("one", jumps=jump("target", ALWAYS)), *steps))
    assert found.reached == ("one", "target")
    assert why(found) == {"between": "a jump in front of it is always taken"}
    found = simulate(plan(step("one", jumps=jump("target", is_("a", 1))), *steps))
    assert not found.unreachable
    assert found.paths == 2


def test_a_jump_that_is_used_up_is_not_taken_any_more() -> None:
    back = step("target", jumps=jump("one", ALWAYS))
    found = simulate(plan(step("one", jumps=jump("target", ALWAYS)), step("between"), back))
    assert not found.unreachable
    assert found.longest == found.shortest
    assert found.longest.turns == 5


def test_a_jump_back_counts_as_often_as_it_may_be_taken() -> None:
    found = simulate(
        plan(step("one"), step("two"), step("three", jumps=jump("two", is_("a", 1), 4)))
    )
    assert (found.longest.turns, found.shortest.turns, found.paths) == (3 + 4 * 2, 3, 2)


def test_what_an_undeclared_variable_excludes_is_reachable_once_an_agent_could_change_it() -> None:
    out = step("one", jumps=jump("end", is_("mode", "done")))
    direct = plan(out, step("two", when=is_("mode", "done")), step("end"))
    assert why(simulate(direct)) == {"two": "wherever it is reached, mode is 'done' is false"}
    between = plan(out, step("other"), step("two", when=is_("mode", "done")), step("end"))
    assert simulate(between).reached == ("one", "other", "two", "end")


def test_loops_have_none_one_or_the_most_passes() -> None:
    more = is_("more", True)
    for rules, turns, paths in (
        ({"when": more}, (0, 5), 3),
        ({"type": "until", "when": more}, (0, 5), 3),
        ({"contract": "wr.loop_control"}, (1, 5), 2),
        ({"type": "for", "count": 4}, (4, 4), 1),
        ({"type": "for", "count": 9}, (5, 5), 1),
        ({"type": "for", "count": 0}, (0, 0), 1),
        ({"type": "for", "count": "many"}, (0, 5), 3),
        ({"type": "forEach", "items": "all"}, (0, 5), 3),
        ({"type": "for", "count": 4, "exit_when": more}, (1, 4), 2),
    ):
        found = simulate(plan(loop("again", step("body"), **{"passes_max": 5, **rules})))
        got = (found.shortest.turns, found.longest.turns), found.paths
        assert got == (turns, paths), rules


def test_a_step_in_front_of_a_loop_may_have_said_that_it_is_not_needed() -> None:
    steered = loop("again", step("body"), contract="wr.loop_control")
    found = simulate(plan(step("one", contract="wr.loop_control"), steered))
    assert (found.shortest.turns, found.longest.turns) == (1, 4)


def test_a_loop_whose_condition_never_holds_leaves_its_body_unreached() -> None:
    never = {"and": [is_("a", 1), is_("a", 2)]}
    found = simulate(plan(loop("again", step("body"), when=never)))
    assert found.reached == ("again",)
    assert why(found) == {"body": "the loop 'again' never begins a pass"}
    found = simulate(plan(loop("again", step("body"), when=ALWAYS, run_condition=never)))
    assert why(found)["body"] == "the loop 'again' is unreachable"


def test_the_number_of_the_pass_decides_in_the_body() -> None:
    def body(at_least: int) -> Plan:
        late = step("late", when={"var": "currentIteration", "gte": at_least})
        return plan(loop("again", step("body"), late, type="for", count=5, passes_max=5))

    assert simulate(body(2)).longest.turns == 5 + 4
    assert simulate(body(5)).reached == ("again", "body", "late")
    assert simulate(body(6)).reached == ("again", "body")


def test_what_only_a_third_pass_leads_to_is_reached() -> None:
    on = {"enum": ["on"]}
    found = simulate(
        plan(
            step("off", gives={"x": {"enum": ["off"]}, "y": {"enum": ["off"]}}),
            loop(
                "again",
                step("third", when=is_("y", "on")),
                step("second", when=is_("x", "on"), gives={"y": on}),
                step("first", gives={"x": on}),
                type="for",
                count=4,
                passes_max=4,
            ),
        )
    )
    assert found.reached == ("off", "again", "third", "second", "first")
    assert "third" in found.longest.steps


def test_a_synthesis_runs_only_behind_sessions_that_ran() -> None:
    def fan(*conditions_: Any, **fields: Any) -> tuple[PlanStep, PlanStep]:
        delegations = tuple(
            Delegation(name=f"child-{n}", spec="routine", goal="Look.", when=one)
            for n, one in enumerate(conditions_)
        )
        parallel = Parallel(delegations=delegations, **fields)
        return step("fan", parallel=parallel), step("fan__synthesis", synthesis_of="fan")

    assert simulate(plan(*fan(None))).shortest.turns == 1
    both = simulate(plan(*fan(is_("a", 1), is_("b", 1))))
    assert (both.shortest.turns, both.longest.turns) == (0, 1)
    assert simulate(plan(*fan(None, items="all"))).shortest.turns == 0
    never = {"and": [is_("a", 1), is_("a", 2)]}
    skipped, synthesis = fan(None)
    found = simulate(plan(skipped.model_copy(update={"when": never}), synthesis))
    assert why(found)["fan__synthesis"].startswith("'fan', whose results it puts together")


def test_forty_steps_with_fifteen_conditions_are_walked_in_less_than_a_second() -> None:
    steps = [
        step(f"step-{n}", when={"or": [is_(f"v{n % 15}", "A"), is_(f"v{(n + 1) % 15}", "B")]})
        if n % 3
        else step(f"step-{n}", jumps=jump("step-39", is_(f"v{n % 15}", "end")))
        for n in range(40)
    ]
    began = time.process_time()
    found = simulate(plan(*steps))
    assert time.process_time() - began < 1.0
    assert len(found.reached) == 40


def test_a_plan_with_too_many_states_says_so_and_claims_nothing_false() -> None:
    variables = [f"v{n}" for n in range(40)]
    steps = [step(f"{half}-{name}", when=is_(name, half)) for half in "ab" for name in variables]
    began = time.process_time()
    found = simulate(plan(*steps))
    assert time.process_time() - began < 3.0
    assert found.cut_off
    assert not found.unreachable
    assert (found.shortest.turns, found.longest.turns) == (0, 80)


def test_equal_plans_give_equal_answers() -> None:
    made = plan(step("one", when={"or": [is_("a", 1), is_("b", 2)]}), step("two"))
    assert simulate(made) == simulate(Plan.model_validate_json(made.model_dump_json()))


# --- against runs with real values -----------------------------------------------------------

VALUES = ("x", "y", True, None)


def _leaf() -> st.SearchStrategy[dict[str, Any]]:
    names = st.sampled_from(["a", "b", "given"])
    return st.one_of(
        st.builds(lambda name: {"var": name}, names),
        st.builds(is_, names, st.sampled_from(VALUES)),
        st.builds(lambda name, value: {"var": name, "not_equals": value}, names, st.just("x")),
    )


def _condition() -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        _leaf(),
        lambda inner: st.one_of(
            st.builds(lambda one: {"not": one}, inner),
            st.builds(lambda parts: {"and": parts}, st.lists(inner, min_size=1, max_size=2)),
            st.builds(lambda parts: {"or": parts}, st.lists(inner, min_size=1, max_size=2)),
        ),
        max_leaves=3,
    )


@st.composite
def _plans(draw: st.DrawFn) -> Plan:
    maybe = st.one_of(st.none(), _condition())
    gives: st.SearchStrategy[Any] = st.sampled_from([{}, {"given": {"enum": ["x", "y"]}}])

    def one(name: str) -> PlanStep:
        return step(name, when=draw(maybe), gives=draw(gives))

    steps: list[PlanStep] = []
    looped = draw(st.integers(0, 4))
    for n in range(5):
        if n != looped:
            steps.append(one(f"step-{n}"))
            continue
        body = [one(f"body-{m}") for m in range(draw(st.integers(1, 3)))]
        rules: dict[str, Any] = draw(
            st.sampled_from([{"type": "while"}, {"type": "until"}, {"type": "for", "count": 3}])
        )
        if rules["type"] != "for":
            rules = {**rules, "when": draw(_condition())}
        rules = {**rules, "exit_when": draw(maybe), "passes_max": draw(st.integers(1, 4))}
        steps.append(loop(f"step-{n}", *body, **rules, run_condition=draw(maybe)))
    source = draw(st.integers(0, 4))
    if steps[source].loop is None and draw(st.booleans()):
        target = f"step-{draw(st.integers(0, 4))}"
        jumps = jump(target, draw(_condition()), draw(st.integers(1, 3)))
        steps[source] = steps[source].model_copy(update={"jumps": jumps})
    return plan(*steps)


def _walked(made: Plan, random: Random) -> list[str]:
    """The steps that one session does, whose agents answer by chance."""
    context = {name: random.choice(VALUES) for name in ("a", "b", "given")}
    if any(one.gives for one in made.steps) or context["given"] not in ("x", "y"):
        context["given"] = random.choice(["x", "y", None])
    ran: list[str] = []
    taken: dict[str, int] = {}

    def holds(condition: Any) -> bool:
        return condition is None or conditions.holds(condition, context)

    def done(one: PlanStep) -> None:
        ran.append(one.id)
        if one.gives:
            context["given"] = random.choice(["x", "y"])

    ids = [one.id for one in made.steps]
    at = 0
    while at < len(made.steps):
        one = made.steps[at]
        at += 1
        if not holds(one.when):
            continue
        if one.loop is not None:
            rules, passes = one.loop, 0
            most = min(rules.passes_max, 3) if rules.type == "for" else rules.passes_max
            while passes < most:
                if passes and rules.exit_when is not None and holds(rules.exit_when):
                    break
                if rules.type != "for" and holds(rules.when) == (rules.type == "until"):
                    break
                passes += 1
                for inner in rules.body:
                    if holds(inner.when):
                        done(inner)
            continue
        done(one)
        for way in one.jumps:
            if holds(way.when) and taken.get(way.to, 0) < way.jumps_max:
                taken[way.to] = taken.get(way.to, 0) + 1
                at = ids.index(way.to)
    return ran


@settings(max_examples=150, deadline=None)
@given(_plans(), st.integers(0, 10_000))
def test_no_run_leaves_what_the_simulation_says(made: Plan, seed: int) -> None:
    found = simulate(made)
    random = Random(seed)
    for _ in range(10):
        ran = _walked(made, random)
        assert set(ran) <= set(found.reached), json.dumps(made.model_dump(mode="json"))
        assert found.shortest.turns <= len(ran) <= found.longest.turns
