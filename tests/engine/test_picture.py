"""Plans shown: as text, as a drawing, and as what happened."""

from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest

from worktrain.contracts.plan import (
    Ask,
    Assessment,
    Confirmation,
    Consequence,
    Delegation,
    Dimension,
    Fragment,
    Jump,
    Loop,
    Parallel,
    Plan,
    PlanStep,
    Source,
)
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.engine.picture import in_words, outline, ran, svg

LARGE = {"var": "size", "equals": "Large"}


def step(name: str, title: str = "", **fields: Any) -> PlanStep:
    return PlanStep(id=name, title=title or f"The {name}", **fields)


def plan(*steps: PlanStep, **fields: Any) -> Plan:
    return Plan(spec="sample", model_tier="mid", steps=steps, **fields)


def fan(count: int, **fields: Any) -> PlanStep:
    delegations = tuple(
        Delegation(name=f"child-{n}", spec="routine-review", goal="Look.", when=LARGE)
        for n in range(count)
    )
    return step("fan", parallel=Parallel(delegations=delegations, **fields))


FULL = plan(
    step(
        "triage",
        gathers=(Source(variable="rules", paths=("AGENTS.md",), task_url="https"),),
        asks=(Ask(variable="how", text="How?", type="choice", options=("fast", "slow")),),
        needs={"goal2": {}},
        gives={"size": {}},
        confirm=Confirmation(kind="human_approval", when=LARGE),
    ),
    fan(2, concurrency_max=3, on_failure="abort", items="parts"),
    step("fan__synthesis", synthesis_of="fan", contract="wr.review_verdict"),
    step(
        "again",
        when={"not": LARGE},
        loop=Loop(
            type="while",
            passes_max=4,
            contract="wr.loop_control",
            exit_when={"var": "enough"},
            body=(
                step("look", fragments=(Fragment(id="risky", when=LARGE),), todo=("a", "b")),
                step("decide", contract="wr.loop_control"),
            ),
        ),
    ),
    step(
        "judge",
        offers="wr.coding_handoff",
        assessments=(
            Assessment(id="sound", dimensions=(Dimension(id="design", levels=("low", "high")),)),
        ),
        consequences=(
            Consequence(level="low", guidance="More."),
            Consequence(level="low", assessment="sound", guidance="x", recipe=("a",), redos_max=2),
        ),
        jumps=(Jump(when=LARGE, to="triage", jumps_max=2),),
    ),
    needs={"goal2": {}},
    gives={"size": {}},
)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"var": "a"}, "a is truthy"),
        ({"var": "a.b", "equals": "x"}, "a.b is 'x'"),
        ({"var": "a", "not_equals": True}, "a is not true"),
        ({"var": "a", "gt": 1.0, "lte": 2.5}, "a is more than 1 and is at most 2.5"),
        ({"var": "a", "in": ["x", 2, None]}, "a is one of 'x', 2, null"),
        ({"var": "a", "contains": "x"}, "a contains 'x'"),
        ({"not": {"var": "a", "startsWith": "x"}}, "not (a starts with 'x')"),
        (
            {"and": [{"var": "a"}, {"or": [{"var": "b"}, {"var": "c", "matches": "^x"}]}]},
            "a is truthy and (b is truthy or c matches '^x')",
        ),
    ],
)
def test_a_condition_is_said_in_words(condition: Any, words: str) -> None:
    assert in_words(condition) == words


def test_an_outline_says_what_decides_about_each_step() -> None:
    assert outline(FULL).splitlines() == [
        "sample: 5 steps, model tier mid; needs goal2; gives size",
        "1. triage: The triage",
        "   gathers rules from AGENTS.md, a URL of the task",
        "   asks for how: How? (fast | slow)",
        "   needs goal2",
        "   gives size",
        "   gate: a person answers when size is 'Large'",
        "2. fan: The fan",
        "   runs 2 sessions for each currentItem of parts, 3 at a time; a failure ends the others; "
        "results in delegationResults",
        "   > child-0: routine-review when size is 'Large'",
        "   > child-1: routine-review when size is 'Large'",
        "3. fan__synthesis: The fan__synthesis",
        "   ? fan ran",
        "   delivers wr.review_verdict",
        "4. again: The again",
        "   ? not (size is 'Large')",
        "   loop: until wr.loop_control says stop, at most 4 passes; left when enough is truthy",
        "    4.1 look: The look",
        "       says risky when size is 'Large'",
        "       to do: 2 points",
        "    4.2 decide: The decide",
        "       delivers wr.loop_control",
        "5. judge: The judge",
        "   may deliver wr.coding_handoff",
        "   assesses sound: design low|high",
        "   'low': do it again, once",
        "   'low' of sound: do it again, up to 2 times, by a recipe",
        "   jumps to triage when size is 'Large', at most 2 times",
    ]


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"type": "for", "count": "many"}, "loop: many times, at most 3 passes"),
        ({"type": "until", "when": LARGE}, "loop: until size is 'Large', at most 3 passes"),
        ({"type": "forEach", "items": "all"}, "for each currentItem of all, at most 3 passes"),
    ],
)
def test_each_kind_of_loop_is_said(rules: Any, said: str) -> None:
    assert said in outline(plan(step("again", loop=Loop(passes_max=3, body=(), **rules))))


def test_a_title_cannot_steer_a_terminal() -> None:
    shown = outline(plan(step("one", "Red\x1b[31m\nand\tmore" + "x" * 300)))
    assert "\x1b" not in shown
    assert len(shown.splitlines()) == 2
    assert len(shown.splitlines()[1]) < 200


# --- the drawing -----------------------------------------------------------------------------

NS = "{http://www.w3.org/2000/svg}"


def drawn(made: Plan) -> ElementTree.Element:
    return ElementTree.fromstring(svg(made))


def rects(root: ElementTree.Element, kind: str) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom."""
    found = [one for one in root.iter(f"{NS}rect") if one.get("class") == kind]
    sides = [[float(one.get(key, 0)) for key in ("x", "y", "width", "height")] for one in found]
    return [(x, y, x + width, y + height) for x, y, width, height in sides]


def inside(inner: tuple[float, ...], outer: tuple[float, ...]) -> bool:
    return (
        outer[0] < inner[0] and outer[1] < inner[1] and inner[2] < outer[2] and inner[3] < outer[3]
    )


def test_a_drawing_has_a_box_for_each_step_and_a_frame_around_a_loop() -> None:
    root = drawn(FULL)
    boxes, frames = rects(root, "box"), rects(root, "frame")
    assert (len(boxes), len(frames)) == (6, 1)
    assert [inside(one, frames[0]) for one in boxes].count(True) == 2
    (back,) = rects(root, "back")
    assert all(inside(one, back) for one in (*boxes, *frames))
    outer = sorted([*(one for one in boxes if not inside(one, frames[0])), *frames], key=str)
    tops = sorted(outer, key=lambda one: one[1])
    assert all(above[3] < below[1] for above, below in pairwise(tops))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_sessions_stand_beside_each_other_in_their_step(count: int) -> None:
    root = drawn(plan(fan(count)))
    children, (box,) = rects(root, "child"), rects(root, "box")
    assert len(children) == count
    assert all(inside(one, box) for one in children)
    first_row = [one for one in children if one[1] == children[0][1]]
    assert len(first_row) == min(count, 3)
    rows = sorted({(one[1], one[3]) for one in children})
    assert all(above[1] < below[0] for above, below in pairwise(rows))


def test_skips_and_jumps_are_dashed_arrows_within_the_picture() -> None:
    root = drawn(FULL)
    dashed = [one for one in root.iter(f"{NS}path") if one.get("class") == "arrow dashed"]
    # The synthesis and the loop may be skipped; one step jumps.
    assert len(dashed) == 3
    plain = drawn(plan(step("one"), step("two")))
    arrows = [one.get("class") for one in plain.iter(f"{NS}path") if one.get("class") != "head"]
    assert arrows == ["arrow"]
    many = tuple(Jump(when=LARGE, to="one", jumps_max=1) for _ in range(9))
    wide = drawn(plan(step("one"), step("two", jumps=many)))
    (back,) = rects(wide, "back")
    lanes = [
        float(one.get("d", "").split("H")[1].split("V")[0])
        for one in wide.iter(f"{NS}path")
        if one.get("class") == "arrow dashed"
    ]
    assert len(set(lanes)) == 9
    assert max(lanes) < back[2]


def test_texts_are_escaped_and_broken_to_the_width_of_their_box() -> None:
    hostile = '<script>alert("x")</script> & ]]> \x00\x1b ' + "word " * 30
    root = drawn(plan(step("one", hostile, when={"var": "<a>", "equals": "&" * 150})))
    texts = [one.text or "" for one in root.iter(f"{NS}text")]
    assert any("<script>" in one for one in texts)
    assert root.find(f".//{NS}script") is None
    assert max(map(len, texts)) <= 64
    assert "prefers-color-scheme: dark" in (root.findtext(f"{NS}style") or "")


# --- what happened ---------------------------------------------------------------------------


def happened(*entries: tuple[TraceKind, str, str, int]) -> list[Trace]:
    return [
        Trace(n=n, kind=kind, step=at, text=text, iteration=iteration)
        for n, (kind, at, text, iteration) in enumerate(entries, 1)
    ]


def test_a_run_is_told_at_the_steps_of_its_outline() -> None:
    kind = TraceKind
    trace = happened(
        (kind.ENTERED, "triage", "The triage", 0),
        (kind.BLOCKED, "triage", "notes are missing", 0),
        (kind.BLOCKED, "triage", "notes are missing", 0),
        (kind.GATE, "triage", "human_approval", 0),
        (kind.GATE_ANSWERED, "triage", "ada approved it", 0),
        (kind.DONE, "triage", "Read it.", 0),
        (kind.SKIPPED, "fan", "its condition is not met: size equals 'Large' (is 'Small')", 0),
        (kind.SKIPPED, "fan__synthesis", "'fan' did not run", 0),
        (kind.LOOP_ENTERED, "again", "nothing has said stop", 0),
        (kind.PASS, "again", "pass 1 of at most 4", 0),
        (kind.ENTERED, "look", "The look", 1),
        (kind.DONE, "look", "Looked.", 1),
        (kind.PASS, "again", "pass 2 of at most 4", 1),
        (kind.ENTERED, "look", "The look", 2),
        (kind.DONE, "look", "Looked.", 2),
        (kind.LOOP_LEFT, "again", "the newest step said stop", 2),
        (kind.ENTERED, "judge", "The judge", 0),
        (kind.SIGNAL, "", "progress: half", 0),
    )
    assert ran(FULL, trace).splitlines()[1:] == [
        "✓ 1. triage: The triage",
        "     ran once",
        "     refused: notes are missing (2 times)",
        "     gate: ada approved it",
        "- 2. fan: The fan",
        "     skipped: its condition is not met: size equals 'Large' (is 'Small')",
        "- 3. fan__synthesis: The fan__synthesis",
        "     skipped: 'fan' did not run",
        "✓ 4. again: The again",
        "     2 passes",
        "     loop entered: nothing has said stop",
        "     loop left: the newest step said stop",
        "✓     4.1 look: The look",
        "         ran 2 times, in pass 1, 2",
        "·     4.2 decide: The decide",
        "» 5. judge: The judge",
        "     begun and not done once",
        "besides:",
        "  signal: progress: half",
    ]


def test_a_gate_that_nobody_has_answered_is_said_to_wait() -> None:
    trace = happened((TraceKind.ENTERED, "triage", "", 0), (TraceKind.GATE, "triage", "asks", 0))
    shown = ran(FULL, trace)
    assert "» 1. triage" in shown
    assert "gate: waits for its answer" in shown


def test_sessions_that_ran_and_a_loop_without_a_pass_are_told_apart_from_skips() -> None:
    trace = happened(
        (TraceKind.DELEGATED, "fan", "2 sessions", 0),
        (TraceKind.CHILD_ENDED, "fan", "child-0 ended completed", 0),
        (TraceKind.SKIPPED, "fan", "child-1 was not asked for", 0),
        (TraceKind.LOOP_LEFT, "again", "there is nothing to do", 0),
    )
    lines = ran(FULL, trace).splitlines()
    assert "✓ 2. fan: The fan" in lines
    assert "- 4. again: The again" in lines


def test_every_kind_of_entry_can_be_told() -> None:
    for kind in TraceKind:
        assert "triage" in ran(FULL, happened((kind, "triage", "because", 1)))
