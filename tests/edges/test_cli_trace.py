"""`show --trace`, `show --graph`, `logs --trace`: why the sessions of a pipeline went that way."""

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from temporalio import workflow
from temporalio.client import Client as Temporal
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from worktrain import embedded
from worktrain.adapters.stores.sql import SqlStore
from worktrain.cli.main import cli
from worktrain.contracts.pipeline import PipelineRequest, PipelineView
from worktrain.contracts.plan import Context, Plan, PlanStep
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.session import SessionClosed, SessionOpened, SessionRequest, SessionView
from worktrain.contracts.task import Task
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.contracts.turn import (
    Message,
    StopReason,
    TextBlock,
    TurnReply,
    TurnRequest,
    Usage,
)
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules
from worktrain.settings import load

NAME = "task/shop-1a2b/fix-the-login-3c4d"
CODING, CHILD, FIX = (f"{NAME}/{name}" for name in ("coding-1", "coding-1/look-1", "fix-1"))
TASK = Task(source="typed", title="Fix the login")
PLAN = Plan(
    spec="coding-task",
    model_tier="mid",
    steps=(
        PlanStep(id="look", title="Look around"),
        PlanStep(id="ask", title="Ask first", when={"var": "risk", "equals": "High"}),
    ),
)
SKIPPED = "Its condition does not hold: risk equals 'High' (is 'Low')."

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    for name in [n for n in os.environ if n.startswith(("ANTHROPIC_", "TEMPORAL_", "WORKTRAIN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("WORKTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    return lambda *words: CliRunner().invoke(cli, [str(word) for word in words])


def request(session: str) -> SessionRequest:
    return SessionRequest(
        session=session,
        pipeline=NAME,
        phase="coding",
        spec="coding-task",
        repo="/srv/shop",
        base="b" * 40,
        at="a" * 40,
        branch=None,
        task=TASK,
        sections=(),
        limits=Limits(),
        models=ModelNames(),
        model=None,
        sandbox=SandboxRules(),
    )


def decided(n: int, kind: TraceKind, step: str, text: str, iteration: int = 0) -> Trace:
    return Trace(n=n, kind=kind, step=step, text=text, iteration=iteration)


async def take(store: SqlStore, session: str, turn: int, *trace: Trace) -> None:
    said, reply = (
        Message(role=role, blocks=(TextBlock(text=f"{role} {turn}"),))
        for role in ("user", "assistant")
    )
    asked = TurnRequest(
        session=session,
        turn=turn,
        head=None,
        say=(),
        script="s",
        context="c",
        model="m",
        max_tokens=1,
        trace=trace,
    )
    key = f"{session} {turn}"
    answer = TurnReply(head=key, stop=StopReason.END_TURN)
    await store.add_turn(key, asked, said, reply, answer)


def closed(session: str, *trace: Trace) -> SessionClosed:
    record = PhaseRecord(
        phase="coding",
        session=session,
        spec="coding-task",
        script="s",
        ending="completed",
        turns=2,
        usage=Usage(),
        cost_microdollars=0,
        model="m",
    )
    return SessionClosed(
        session=session,
        pipeline=NAME,
        record=record,
        artifacts=(),
        notes=(),
        why="every step is done",
        trace=trace,
    )


@pytest.fixture
def kept(run: Run) -> None:
    """A session that ended, one that it had run, and one that ended before there was a trace."""

    async def fill() -> None:
        settings = load(os.environ)
        settings.open_home()
        clock = iter(range(1_000, 2_000))
        store = await SqlStore.open(settings.store_url, lambda: float(next(clock)))
        pipeline = PipelineRequest(
            pipeline=NAME,
            workspace="shop-1a2b",
            repo="/srv/shop",
            task=TASK,
            kind=PipelineKind.FEATURE,
        )
        await store.open_pipeline(pipeline, 900.0)
        context = Context(opening="o", rules="r", injected={"Task": 1234, "Rules \x1b[31m": 40})
        name = await store.put_blob(context.model_dump_json())
        opened = SessionOpened(plan=PLAN, script="s", context=name)
        await store.open_session(request(CODING), opened, 910.0)
        await take(store, CODING, 1, decided(1, TraceKind.ENTERED, "look", "It is the first step."))
        await store.open_session(request(CHILD), opened, 1_000.5)
        await take(store, CHILD, 1, decided(1, TraceKind.PASS, "look", "Item 2 of 2.", 2))
        await take(
            store,
            CODING,
            2,
            decided(2, TraceKind.DONE, "look", "Delivered \x1b[31mall."),
            decided(3, TraceKind.SKIPPED, "ask", SKIPPED),
        )
        await store.close_session(closed(CODING, decided(4, TraceKind.GIVEN, "", "risk.")), 1_100.0)
        await store.close_session(closed(FIX), 1_200.0)
        await store.close()

    asyncio.run(fill())


# --- show --trace -----------------------------------------------------------------------------


def test_decisions_are_printed_by_session_in_order_with_step_and_pass(run: Run, kept: None) -> None:
    shown = run("show", "login", "--trace")
    assert shown.exit_code == 0, shown.output
    coding, child, fix = (block.splitlines() for block in shown.stdout.split("\n\n"))
    assert coding[0].startswith(f"== {CODING}, opened ")
    assert coding[1] == "told at its start, in characters: Task 1,234, Rules \\u001b[31m 40"
    assert [line[9:] for line in coding[2:]] == [
        "entered       look: It is the first step.",
        "done          look: Delivered \\u001b[31mall.",
        f"skipped       ask: {SKIPPED}",
        "given         risk.",
    ]
    assert child[2:] == [f"{coding[2][:6]}41 pass          look (pass 2): Item 2 of 2."]
    assert fix[1:] == ["what it was told at its start is not stored", "no decision of it is stored"]


def test_decisions_as_json_are_one_array_with_what_was_injected_first(run: Run, kept: None) -> None:
    entries = json.loads(run("show", NAME, "--trace", "--json").stdout)
    assert [(entry["session"], entry["n"], entry["kind"]) for entry in entries] == [
        (CODING, 0, "injected"),
        (CODING, 1, "entered"),
        (CODING, 2, "done"),
        (CODING, 3, "skipped"),
        (CODING, 4, "given"),
        (CHILD, 0, "injected"),
        (CHILD, 1, "pass"),
    ]
    assert entries[0]["injected"] == {"Task": 1234, "Rules \x1b[31m": 40}
    assert entries[3] == {
        "session": CODING,
        "at_s": 1002.0,
        "n": 3,
        "kind": "skipped",
        "step": "ask",
        "text": SKIPPED,
        "iteration": 0,
    }


@pytest.mark.parametrize(
    ("named", "shown"),
    [(CODING, [CODING, CHILD]), (f"{CODING}/", [CODING, CHILD]), (CHILD, [CHILD])],
)
def test_the_id_of_a_session_means_it_and_those_that_it_had_run(
    run: Run, kept: None, named: str, shown: list[str]
) -> None:
    entries = json.loads(run("show", named, "--trace", "--json").stdout)
    assert list(dict.fromkeys(entry["session"] for entry in entries)) == shown


def test_a_session_that_is_not_there_is_told_with_those_that_are(run: Run, kept: None) -> None:
    failed = run("show", f"{NAME}/coding", "--trace", "--json")
    assert failed.exit_code == 2
    told = json.loads(failed.stdout)
    assert told["kind"] == "not_found"
    assert f"has no session '{NAME}/coding'; its sessions: {CODING}, {CHILD}" in told["error"]


def test_a_pipeline_without_sessions_has_no_decisions(run: Run) -> None:
    async def fill() -> None:
        settings = load(os.environ)
        settings.open_home()
        store = await SqlStore.open(settings.store_url)
        pipeline = PipelineRequest(
            pipeline=NAME, workspace="w", repo="/srv/shop", task=TASK, kind=PipelineKind.QUICK
        )
        await store.open_pipeline(pipeline, 900.0)
        await store.close()

    asyncio.run(fill())
    assert run("show", "login", "--trace").stdout == "no session of it has begun yet\n"
    assert json.loads(run("show", "login", "--trace", "--json").stdout) == []


def test_show_without_these_options_is_about_the_whole_pipeline(run: Run, kept: None) -> None:
    assert json.loads(run("show", CODING, "--json").stdout)["id"] == NAME
    both = run("show", "login", "--trace", "--graph")
    assert both.exit_code == 2
    assert "not both at once" in both.stderr


# --- show --graph -----------------------------------------------------------------------------


def test_the_graph_of_each_session_says_what_was_skipped_and_why(run: Run, kept: None) -> None:
    drawn = run("show", CODING, "--graph")
    assert drawn.exit_code == 0, drawn.output
    coding, _ = drawn.stdout.split(f"== {CHILD}")
    for words in (f"== {CODING}", "look", "ask", "risk equals 'High'"):
        assert words in coding
    graphs = {
        one["session"]: one["graph"]
        for one in json.loads(run("show", "login", "--graph", "--json").stdout)
    }
    assert list(graphs) == [CODING, CHILD, FIX]
    assert graphs[CODING].rstrip("\n") in coding
    assert graphs[FIX] is None
    assert "its plan is not stored" in run("show", FIX, "--graph").stdout


# --- logs --trace -----------------------------------------------------------------------------


def test_the_log_has_decisions_before_the_turn_that_followed_them(run: Run, kept: None) -> None:
    entries = json.loads(run("logs", "login", "--trace", "--json").stdout)
    assert [(entry["session"], entry["kind"]) for entry in entries] == [
        (CODING, "trace"),
        (CODING, "said"),
        (CODING, "turn"),
        (CHILD, "trace"),
        (CHILD, "said"),
        (CHILD, "turn"),
        (CODING, "trace"),
        (CODING, "trace"),
        (CODING, "said"),
        (CODING, "turn"),
        (CODING, "trace"),
        (CODING, "ended"),
        (FIX, "ended"),
    ]
    assert entries[7]["text"] == f"skipped ask: {SKIPPED}"
    assert len({tuple(entry) for entry in entries}) == 1
    assert f"trace skipped ask: {SKIPPED}" in run("logs", "login", "--trace").stdout


def test_the_log_without_the_option_has_no_decisions(run: Run, kept: None) -> None:
    entries = json.loads(run("logs", "login", "--json").stdout)
    assert {entry["kind"] for entry in entries} == {"said", "turn", "ended"}
    assert "trace" not in run("logs", "login").stdout


# --- while it is at work ----------------------------------------------------------------------

NEW = "Nothing is stored of this yet."
VIEWS = {
    FIX: SessionView(
        session=FIX,
        phase="fix",
        children=(f"{FIX}/look-1",),
        trace=(
            decided(1, TraceKind.ENTERED, "look", "read again: it was stored meanwhile"),
            decided(2, TraceKind.BLOCKED, "look", NEW),
        ),
    ),
    f"{FIX}/look-1": SessionView(
        session=f"{FIX}/look-1",
        phase="fix",
        children=(f"{FIX}/gone-1",),
        trace=(decided(1, TraceKind.ENTERED, "look", NEW),),
    ),
}


@workflow.defn(name="PipelineAtWork")
class PipelineAtWork:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def view(self) -> PipelineView:
        return PipelineView(id=NAME, title="Fix the login", phase="fix", session=FIX)


@workflow.defn(name="SessionAtWork")
class SessionAtWork:
    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.query
    def view(self) -> SessionView:
        return VIEWS[workflow.info().workflow_id]


@pytest.fixture
def server(run: Run) -> Iterator[embedded.Endpoints]:
    settings = load(os.environ)
    settings.open_home()
    yield embedded.start_server(settings)
    embedded.stop_server(settings)


async def test_what_is_not_stored_yet_is_asked_of_the_sessions_at_work(
    run: Run, server: embedded.Endpoints
) -> None:
    store = await SqlStore.open(load(os.environ).store_url, lambda: 1_000.0)
    pipeline = PipelineRequest(
        pipeline=NAME, workspace="w", repo="/srv/shop", task=TASK, kind=PipelineKind.QUICK
    )
    await store.open_pipeline(pipeline, 900.0)
    opened = SessionOpened(plan=PLAN, script="s", context="c")
    await store.open_session(request(FIX), opened, 910.0)
    await take(store, FIX, 1, decided(1, TraceKind.ENTERED, "look", "It is the first step."))
    await store.close()

    temporal = await Temporal.connect(
        server.address, namespace=server.namespace, data_converter=pydantic_data_converter
    )
    async with Worker(
        temporal,
        task_queue="trace",
        workflows=[PipelineAtWork, SessionAtWork],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        started: list[Any] = [
            await temporal.start_workflow(kind, id=name, task_queue="trace")
            for kind, name in (
                ("PipelineAtWork", NAME),
                *(("SessionAtWork", session) for session in VIEWS),
            )
        ]
        shown = await asyncio.to_thread(run, "show", NAME, "--trace", "--json")
        lines = await asyncio.to_thread(run, "show", FIX, "--trace")
        for handle in started:
            await handle.terminate()
    entries = json.loads(shown.stdout)
    assert [(one["session"], one["n"], one["at_s"], one["text"]) for one in entries] == [
        (FIX, 1, 1000.0, "It is the first step."),
        (FIX, 2, None, NEW),
        (f"{FIX}/look-1", 1, None, NEW),
    ]
    assert f"pending  blocked       look: {NEW}" in lines.stdout
