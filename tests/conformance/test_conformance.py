"""Specs written after WorkRail's schema and ours, and the way that each leads a session.

A folder is about one topic: spec files, and `traversals.yaml` with what each must come to. The
expectations were written down from the documentation, not from the engine.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from tests.engine.conftest import words
from tests.engine.playing import Play
from worktrain.contracts import spec as authored
from worktrain.contracts.base import Authored, JsonObject
from worktrain.contracts.plan import Compiled
from worktrain.contracts.session import (
    AskModel,
    Child,
    Event,
    RunChildren,
    SessionEnding,
)
from worktrain.contracts.spec import Spec
from worktrain.contracts.turn import StepPrompt, TextBlock
from worktrain.contracts.workspace import Limits
from worktrain.engine import inspect, prompt
from worktrain.engine.compile import Around, Uncompilable, compile_spec
from worktrain.engine.fault import shown
from worktrain.engine.parse import Unreadable, read, read_spec
from worktrain.engine.simulate import simulate

LIMITS = ("turn_limit", "token_limit", "cost_limit", "time_limit")
HERE = Path(__file__).parent
EVERYWHERE = ("entered", "done", "given")
"""Entries that `way` and `variables` tell already."""


class Case(Authored):
    """One session of a spec: what it is given, and what must come of it."""

    shows: str
    spec: str
    # What is given.
    context: JsonObject = Field(default_factory=dict)
    says: dict[str, JsonObject | tuple[JsonObject, ...]] = Field(default_factory=dict)
    """What the agent claims at a step, laid over what the step asks for; a list: in turn."""
    children: dict[str, JsonObject] = Field(default_factory=dict)
    """Results of child sessions by name; of the others: completed, without anything given."""
    answers: dict[str, str] = Field(default_factory=dict)
    gathered: dict[str, str] = Field(default_factory=dict)
    gates: tuple[str, ...] = ()
    """`approved`, or the reason for a rejection, for each time that the operator decides."""
    instead: dict[str, Event] = Field(default_factory=dict)
    then: tuple[Event, ...] = ()
    limits: JsonObject = Field(default_factory=dict)
    request: JsonObject = Field(default_factory=dict)
    bindings: dict[str, str] = Field(default_factory=dict)
    contracts: dict[str, JsonObject] = Field(default_factory=dict)
    # What must come of it.
    way: str
    """Steps as they are said: `id`, in a loop `id@pass`; `+name` a child session, `=` its results
    told."""
    trace: tuple[str, ...] | None = None
    """Every decision in order: `kind step@pass`, then `: ` and words of its text if they matter."""
    ending: SessionEnding = SessionEnding.COMPLETED
    why: str = ""
    refused: tuple[str, ...] = ()
    """Each refusal of a step: `CODE words of the message or the fix`."""
    asked: tuple[str, ...] = ()
    """Words of each question to the operator."""
    variables: JsonObject = Field(default_factory=dict)
    """Some of the variables at the end; null: there is none."""
    artifacts: tuple[str, ...] | None = None
    heard: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Words that the agent reads at a step, by what `way` calls it."""
    unheard: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    system: tuple[str, ...] = ()
    orders: dict[str, JsonObject] = Field(default_factory=dict)
    """Fields of the request of a child session; `context.x` is a variable of its."""
    models: dict[str, str] = Field(default_factory=dict)
    """The model that a step's turn is asked of."""
    faults: tuple[str, ...] = ()
    """What the inspection finds grave: `rule place`."""
    unbounded: bool = False
    """The operator kept a part of the spec from running, which no simulation foresees."""


class Refusal(Authored):
    """A spec that cannot be run, and each thing that is wrong: `rule place`."""

    shows: str
    spec: str
    faults: tuple[str, ...] = Field(min_length=1)
    says: str = ""
    """Words of the first message."""
    bindings: dict[str, str] = Field(default_factory=dict)


class Table(Authored):
    cases: tuple[Case, ...] = ()
    refusals: tuple[Refusal, ...] = ()


def _tables() -> Iterator[tuple[Path, Table]]:
    for path in sorted(HERE.glob("*/traversals.yaml")):
        yield path.parent, read(path.read_text(encoding="utf-8"), Table, str(path))


TABLES = tuple(_tables())
CASES = [(folder, one) for folder, table in TABLES for one in table.cases]
REFUSALS = [(folder, one) for folder, table in TABLES for one in table.refusals]
FILES = [
    path
    for path in sorted(HERE.glob("*/*"))
    if path.suffix in (".yaml", ".json") and path.stem != "traversals"
]


def _named(value: Any) -> str | None:
    if isinstance(value, Case | Refusal):
        return f"{value.spec}: {value.shows}"
    return value.name if isinstance(value, Path) else None


@cache
def spec(path: Path) -> Spec:
    made, warnings = read_spec(path.read_text(encoding="utf-8"), path.name)
    assert warnings == ()
    return made


@cache
def routines() -> dict[str, Spec]:
    made = [spec(path) for path in FILES if path.stem.startswith("routine-")]
    return {one.id: one for one in made}


def compiled(folder: Path, case: Case | Refusal) -> Compiled:
    contracts = case.contracts if isinstance(case, Case) else {}
    around = Around(routines=routines(), bindings=case.bindings, contracts=contracts)
    return compile_spec(spec(folder / case.spec), words(), around)


def played(folder: Path, case: Case) -> tuple[Compiled, Play, str]:
    made = compiled(folder, case)

    def result(child: Child) -> JsonObject:
        return case.children.get(child.name, {})

    play = Play(
        made.plan,
        says={step: _listed(said) for step, said in case.says.items()},
        context=case.context,
        children=result,
        answers=case.answers,
        gathered=case.gathered,
        gates=list(case.gates),
        instead=case.instead,
        then=list(case.then),
        limits=Limits.model_validate({"turns_max": 2000, "children_max": 200, **case.limits}),
        changes=case.request,
    )
    ended = play.run()
    assert ended.ending is case.ending, ended.why
    return made, play, ended.why


def _listed(said: JsonObject | tuple[JsonObject, ...]) -> Any:
    return list(said) if isinstance(said, tuple) else said


def said(made: Compiled, one: StepPrompt) -> str:
    """A step as the agent reads it."""
    (block,) = prompt.said((one,), made.script, None, {}).blocks
    assert isinstance(block, TextBlock)
    return block.text


@pytest.mark.parametrize(("folder", "case"), CASES, ids=_named)
def test_a_spec_leads_a_session_the_documented_way(folder: Path, case: Case) -> None:
    made, play, why = played(folder, case)
    assert " ".join(play.way) == " ".join(case.way.split())
    assert case.why in why
    if case.trace is not None:
        _compare(
            [
                (f"{one.kind} {one.step}{f'@{one.iteration}' if one.iteration else ''}", one.text)
                for one in play.trace
                if one.kind not in EVERYWHERE
            ],
            case.trace,
        )
    _compare(
        [
            (blocker.code, f"{blocker.message} {blocker.fix}")
            for refusal in play.refusals
            for blocker in refusal.blockers
        ],
        tuple(one.replace(" ", ": ", 1) for one in case.refused),
    )
    _compare([("", one.text) for one in play.asked], tuple(f": {one}" for one in case.asked))
    assert play.state is not None
    context = play.state.context
    assert {name: context.get(name) for name in case.variables} == case.variables
    if case.artifacts is not None:
        assert tuple(one.kind for one in play.state.artifacts) == case.artifacts
    _check_texts(made, play, case)
    _check_orders(play, case)


def _compare(found: list[tuple[str, str]], wanted: tuple[str, ...]) -> None:
    """As many, the same in name, and each with the words that are wanted."""
    parts = [(name, text) for name, _, text in (one.partition(": ") for one in wanted)]
    assert [name for name, _ in found] == [name for name, _ in parts], found
    for (name, text), (_, words_of_it) in zip(found, parts, strict=True):
        assert words_of_it in text, f"{name}: {text}"


def _check_texts(made: Compiled, play: Play, case: Case) -> None:
    labels = [one for one in play.way if one[0] not in "+="]
    texts: dict[str, str] = {}
    for label, one in zip(labels, play.prompts, strict=True):
        texts.setdefault(label, said(made, one))
    for label, wanted in case.heard.items():
        for part in wanted:
            assert part in texts[label], texts[label]
    for label, wanted in case.unheard.items():
        for part in wanted:
            assert part not in texts[label], texts[label]
    for part in case.system:
        assert part in made.script.system
    turns = [command.request for command in play.commands if isinstance(command, AskModel)]
    models = dict(zip(labels, (one.model for one in turns), strict=False))
    assert {label: models[label] for label in case.models} == case.models


def _check_orders(play: Play, case: Case) -> None:
    children = {
        child.name: child.request
        for command in play.commands
        if isinstance(command, RunChildren)
        for child in command.children
    }
    for name, fields in case.orders.items():
        told = children[name].model_dump(mode="json")
        for field, wanted in fields.items():
            value: Any = told
            for part in field.split("."):
                value = value.get(part)
            assert value == wanted, f"{name}: {field}"


@pytest.mark.parametrize(("folder", "case"), CASES, ids=_named)
def test_what_a_session_does_was_foreseen_before_it(folder: Path, case: Case) -> None:
    made, play, _ = played(folder, case)
    found = inspect.faults(spec(folder / case.spec), made.plan)
    grave = [f"{one.rule} {shown(one.path)}" for one in found if one.level == "error"]
    assert tuple(grave) == case.faults
    foreseen = simulate(made.plan)
    steps = [one.partition("@")[0] for one in play.way if one[0] not in "+="]
    assert set(steps) <= set(foreseen.reached)
    bounded = not (case.instead or case.then or case.unbounded)
    if bounded and case.ending is SessionEnding.COMPLETED:
        assert foreseen.shortest.turns <= len(steps) <= foreseen.longest.turns


@pytest.mark.parametrize(("folder", "case"), CASES, ids=_named)
def test_the_trace_names_every_step_once_and_in_order(folder: Path, case: Case) -> None:
    _, play, _ = played(folder, case)
    numbers = [one.n for one in play.trace]
    assert numbers == sorted(set(numbers))
    assert numbers[:1] in ([], [1])
    entered = [
        f"{one.step}{f'@{one.iteration}' if one.iteration else ''}"
        for one in play.trace
        if one.kind == "entered"
    ]
    # What waits between two turns is bounded; beyond it entries are only counted.
    if len(numbers) == max(numbers, default=0):
        said = [one for one in play.way if one[0] not in "+="]
        # One more where a limit was reached before the agent was told of the step.
        assert entered[: len(said)] == said
        assert len(entered) - len(said) == (case.ending in LIMITS)
    for one in play.trace:
        assert one.step
        assert one.text or one.kind == "done"


@pytest.mark.parametrize(("folder", "refusal"), REFUSALS, ids=_named)
def test_a_spec_that_cannot_run_is_refused_before_it_does(folder: Path, refusal: Refusal) -> None:
    try:
        compiled(folder, refusal)
    except Uncompilable as error:
        found = [f"{one.rule} {shown(one.path)}" for one in error.faults]
        message = error.faults[0].message
    except Unreadable as error:
        found = [f"{one.rule} {one.line}" for one in error.problems]
        message = error.problems[0].message
    else:
        found, message = [], ""
    assert tuple(found) == refusal.faults
    assert refusal.says in message


# --- nothing of the schema is left out -----------------------------------------------------


def test_every_spec_file_is_played() -> None:
    named = {folder / case.spec for folder, case in CASES}
    named |= {folder / refusal.spec for folder, refusal in REFUSALS}
    called = {path for path in FILES if path.stem.startswith("routine-")}
    assert named | called == set(FILES)


def _fields(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{model.__name__}.{field.alias or name}"


def _written(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        for name in value.model_fields_set:
            yield f"{type(value).__name__}.{type(value).model_fields[name].alias or name}"
            yield from _written(getattr(value, name))
    elif isinstance(value, dict | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _written(one)


ABSTRACT = (Authored, authored.Common)
MODELS = [
    one
    for one in vars(authored).values()
    if isinstance(one, type) and issubclass(one, Authored) and one not in ABSTRACT
]


def test_every_field_of_the_schema_stands_in_a_spec_that_runs() -> None:
    ran = {folder / one.spec for folder, one in CASES} | {
        path for path in FILES if path.stem.startswith("routine-")
    }
    used = {name for path in ran for name in _written(spec(path))}
    wanted = {name for model in MODELS for name in _fields(model)}
    # `type` may be left out of a standard step, and is read from there all the same.
    assert wanted - used == set()
