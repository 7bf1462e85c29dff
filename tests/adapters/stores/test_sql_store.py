"""What the SQLite file adds: it outlives kill -9, newer versions, full disks and races."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import IntegrityError

from worktrain.adapters.stores import migrations
from worktrain.adapters.stores.lanes import Lane
from worktrain.adapters.stores.sql import SqlStore
from worktrain.adapters.stores.tables import metadata
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.record import ToolOutput
from worktrain.contracts.trace import Trace, TraceKind
from worktrain.contracts.turn import Message, StopReason, TextBlock, TurnReply, TurnRequest

WRITER = """
import asyncio, sys
from worktrain.adapters.stores.sql import SqlStore
from worktrain.contracts.turn import Message, StopReason, TextBlock, TurnReply, TurnRequest

async def main():
    store = await SqlStore.open(sys.argv[1])
    head, number = None, 0
    while True:
        number += 1
        new = f"h{number}"
        request = TurnRequest(session="s", turn=number, head=head, say=(), script="s",
                              context="c", model="m", max_tokens=1)
        messages = [Message(role=role, blocks=(TextBlock(text=f"{role} {number}"),))
                    for role in ("user", "assistant")]
        answer = TurnReply(head=new, stop=StopReason.END_TURN)
        await store.add_turn(f"k{number}", request, *messages, answer)
        head = new
        print(number, flush=True)

asyncio.run(main())
"""

OPENER = """
import asyncio, sys
from worktrain.adapters.stores.sql import SqlStore

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await SqlStore.open(sys.argv[1])
    await store.put_blob(sys.argv[2])
    await store.close()
    print("alembic" in sys.modules)

asyncio.run(main())
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/store.db"


def turn_of(
    store: SqlStore, name: str, parent: str | None, text: str = ""
) -> asyncio.Task[TurnReply]:
    request = turn_request(parent)
    answer = TurnReply(head=name, stop=StopReason.END_TURN)
    return asyncio.ensure_future(store.add_turn(name, request, *messages_of(text or name), answer))


def turn_request(parent: str | None) -> TurnRequest:
    return TurnRequest(
        session="s",
        turn=1,
        head=parent,
        say=(),
        script="s",
        context="c",
        model="m",
        max_tokens=1,
    )


async def pragma(lane: Lane, name: str) -> object:
    def ask(connection: Connection) -> object:
        answer: object = connection.exec_driver_sql(f"PRAGMA {name}").scalar()
        connection.rollback()
        return answer

    return await lane.run(ask)


def messages_of(text: str) -> tuple[Message, Message]:
    blocks = (TextBlock(text=text),)
    return Message(role="user", blocks=blocks), Message(role="assistant", blocks=blocks)


# --- the tree --------------------------------------------------------------------------------


@pytest.mark.parametrize("kept_in_memory", [True, False])
def test_the_transcript_of_any_branch_is_the_path_from_its_root(
    url: str, kept_in_memory: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not kept_in_memory:
        monkeypatch.setattr("worktrain.adapters.stores.sql.BRANCHES_KEPT_MAX", 0)
    trees = 0

    async def plant(store: SqlStore, tree: int, parents: list[int | None]) -> None:
        paths: list[tuple[str, ...]] = []
        for number, parent in enumerate(parents):
            name = f"{tree}-{number}"
            before = () if parent is None else paths[parent]
            await turn_of(store, name, before[-1] if before else None)
            paths.append((*before, name))
        for path in paths:
            wanted = tuple(message for name in path for message in messages_of(name))
            assert await store.transcript(path[-1]) == wanted

    with asyncio.Runner() as runner:
        store = runner.run(SqlStore.open(url))

        @settings(max_examples=40, deadline=None)
        @given(st.lists(st.integers(min_value=0), min_size=1, max_size=12), st.data())
        def any_tree(numbers: list[int], data: st.DataObject) -> None:
            nonlocal trees
            trees += 1
            parents = [
                data.draw(st.none() | st.integers(0, index - 1)) if index else None
                for index, _ in enumerate(numbers)
            ]
            runner.run(plant(store, trees, parents))

        any_tree()
        runner.run(store.close())
    assert trees >= 40


# --- processes -------------------------------------------------------------------------------


async def test_every_acknowledged_turn_outlives_kill_9(url: str) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer:
        while (line := writer.stdout.readline()) and int(line) < 40:
            pass
        writer.send_signal(signal.SIGKILL)
        acknowledged = int(([line, *writer.stdout.read().splitlines()])[-1])
    assert writer.returncode == -signal.SIGKILL
    assert acknowledged >= 40

    store = await SqlStore.open(url)
    transcript = await store.transcript(f"h{acknowledged}")
    _, lines = await store.log("s")
    await store.close()
    texts = [block.text for message in transcript for block in message.blocks]  # type: ignore[union-attr]
    assert texts == [
        f"{role} {number}"
        for number in range(1, acknowledged + 1)
        for role in ("user", "assistant")
    ]
    # At most one turn was committed whose acknowledgement died with its process.
    assert len(lines) in (2 * acknowledged, 2 * acknowledged + 2)


def test_of_processes_that_open_a_new_file_at_once_one_migrates_it(url: str) -> None:
    openers = [
        subprocess.Popen(
            [sys.executable, "-c", OPENER, url, f"blob {number}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(2)
    ]
    for opener in openers:
        assert opener.stdout is not None
        assert opener.stdout.readline() == "ready\n"
    for opener in openers:
        assert opener.stdin is not None
        opener.stdin.write("go\n")
        opener.stdin.flush()
    imported_alembic = []
    for opener in openers:
        answer, errors = opener.communicate(timeout=60)
        assert opener.returncode == 0, errors
        imported_alembic.append(answer.strip())
    # Importing Alembic takes longer than everything else: who has nothing to migrate does not.
    assert sorted(imported_alembic) == ["False", "True"]
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        assert database.execute("SELECT count(*) FROM blobs").fetchone() == (2,)
        assert database.execute("SELECT * FROM alembic_version").fetchall() == [
            (migrations.REVISIONS[-1],)
        ]


async def test_stores_that_open_a_new_file_at_once_all_succeed(url: str) -> None:
    async with asyncio.timeout(30):
        stores = await asyncio.gather(*(SqlStore.open(url) for _ in range(4)))
    name = await stores[0].put_blob("x")
    assert [await store.get_blob(name) for store in stores] == ["x"] * 4
    for store in stores:
        await store.close()


async def test_a_file_that_another_process_prepares_is_waited_for_and_then_told(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl", reason="this system locks files in another way")
    monkeypatch.setattr(migrations, "WAIT_S_MAX", 0.05)
    with (tmp_path / "store.db.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AdapterError, match=r"another process has held .*\.lock") as caught:
            await SqlStore.open(url)
    assert caught.value.kind == FailureKind.UNREACHABLE
    assert not (tmp_path / "store.db").exists()
    await (await SqlStore.open(url)).close()


async def test_two_stores_on_one_file_agree_who_begins_a_call(url: str) -> None:
    stores = [await SqlStore.open(url) for _ in range(2)]
    for number in range(20):
        answers = await asyncio.gather(
            *(store.begin_tool("s", "h", f"c{number}", "Bash", "ls") for store in stores)
        )
        assert answers.count(None) == 1
    for store in stores:
        await store.close()


async def test_a_store_sees_what_another_one_wrote(url: str) -> None:
    ours, theirs = [await SqlStore.open(url) for _ in range(2)]
    await turn_of(ours, "h1", None)
    await turn_of(theirs, "h2", "h1")
    assert await ours.transcript("h2") == (*messages_of("h1"), *messages_of("h2"))
    output = ToolOutput(content="ok", ok=True)
    await ours.end_tool("s", "h2", "c", "Bash", "ls", output)
    assert await theirs.tool_outputs("h2") == {"c": output}
    await ours.close()
    await theirs.close()


async def test_a_write_goes_on_to_its_end_when_its_caller_is_gone(url: str) -> None:
    store = await SqlStore.open(url)
    writing = turn_of(store, "h1", None)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait([writing])
    assert writing.cancelled()
    await store.close()
    store = await SqlStore.open(url)
    assert await store.transcript("h1") == messages_of("h1")
    await store.close()


async def test_decisions_are_stored_with_their_turn_or_not_at_all(url: str) -> None:
    store = await SqlStore.open(url)
    entry = Trace(n=1, kind=TraceKind.ENTERED, step="look", text="It is the first step.")
    request = turn_request(None).model_copy(update={"trace": (entry,)})
    answer = TurnReply(head="h1", stop=StopReason.END_TURN)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        # The log is written last, so the decisions had been written before.
        refusal = "BEFORE INSERT ON log BEGIN SELECT RAISE(ABORT, 'refused'); END"
        database.execute(f"CREATE TRIGGER refuse {refusal}")
        with pytest.raises(IntegrityError, match="refused"):
            await store.add_turn("k1", request, *messages_of("h1"), answer)
        assert await store.find_turn("k1") is None
        assert await store.trace("s") == ()
        database.execute("DROP TRIGGER refuse")
    await store.add_turn("k1", request, *messages_of("h1"), answer)
    assert [found for _, _, found in await store.trace("s")] == [entry]
    await store.close()


# --- the schema ------------------------------------------------------------------------------


async def test_the_migrations_make_the_tables_that_the_code_uses(url: str) -> None:
    await (await SqlStore.open(url)).close()
    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_a_database_of_the_first_version_is_migrated_with_its_rows(url: str) -> None:
    made_by_r0001(url)
    store = await SqlStore.open(url)
    (closed,) = await store.sessions("task/shop/1")
    assert (closed.session, closed.why, closed.trace) == ("task/shop/1/coding-1", "done", ())
    assert await store.opened("task/shop/1") == (
        ("task/shop/1/coding-1", 1.0),
        ("task/shop/1/review-1", 3.0),
    )
    assert await store.plan("task/shop/1/coding-1") is None
    assert await store.trace("task/") == ()
    assert await store.get_blob("b1") == "a text"

    entry = Trace(n=1, kind=TraceKind.ENTERED, step="look", text="It is the first step.")
    request = turn_request(None).model_copy(
        update={"session": "task/shop/1/review-1", "trace": (entry,)}
    )
    answer = TurnReply(head="h1", stop=StopReason.END_TURN)
    await store.add_turn("k1", request, *messages_of("h1"), answer)
    assert [found for _, _, found in await store.trace("task/")] == [entry]
    await store.close()

    engine = create_engine(url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def made_by_r0001(url: str) -> None:
    """A database as the first version left it: a session that ended and one that runs."""
    engine = create_engine(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "r0001")
    closed = (
        '{"session": "task/shop/1/coding-1", "pipeline": "task/shop/1", "artifacts": [], '
        '"notes": [], "why": "done", "record": {"phase": "coding", '
        '"session": "task/shop/1/coding-1", "spec": "coding", "script": "s", '
        '"ending": "completed", "turns": 3, "usage": {}, "cost_microdollars": 0, "model": "m"}}'
    )
    session = "INSERT INTO sessions (id, pipeline, script, context, opened_s, closed_s, closed) "
    with engine.begin() as connection:
        for row in (
            ("task/shop/1/coding-1", "task/shop/1", "s", "c", 1.0, 2.0, closed),
            ("task/shop/1/review-1", "task/shop/1", "s", "c", 3.0, None, None),
        ):
            connection.exec_driver_sql(f"{session} VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        blob = "INSERT INTO blobs VALUES (?, ?)"
        connection.exec_driver_sql(blob, ("b1", b"a text"))
    engine.dispose()


def test_the_named_revisions_are_those_in_the_folder() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)
    found = [script.revision for script in scripts.walk_revisions()]
    assert tuple(reversed(found)) == migrations.REVISIONS


async def test_the_file_is_written_ahead_and_synced(url: str) -> None:
    store = await SqlStore.open(url)
    asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    for lane in (store._writer, store._reader):
        assert [await pragma(lane, name) for name in asked] == ["wal", 2, 1, 10_000]
    await store.close()


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    await (await SqlStore.open(url)).close()
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
        database.execute("UPDATE alembic_version SET version_num = 'r9999'")
        database.commit()
    with pytest.raises(AdapterError, match=r"'r9999'.*upgrade worktrain") as caught:
        await SqlStore.open(url)
    assert caught.value.kind == FailureKind.MISCONFIGURED


async def test_a_path_with_signs_that_urls_and_settings_use_is_only_a_path(tmp_path: Path) -> None:
    folder = tmp_path / "50% of it's"
    folder.mkdir()
    store = await SqlStore.open(f"sqlite:///{folder}/store.db")
    await store.close()
    assert (folder / "store.db").exists()


# --- bad luck --------------------------------------------------------------------------------


async def test_a_database_that_may_not_grow_is_a_full_disk_until_it_may(url: str) -> None:
    store = await SqlStore.open(url)
    await turn_of(store, "h1", None)

    await pragma(store._writer, "max_page_count=1")
    with pytest.raises(AdapterError, match=r"disk is full\. Free space there") as caught:
        await turn_of(store, "h2", "h1", "x" * 200_000)
    assert caught.value.kind == FailureKind.DISK_FULL
    assert await store.find_turn("h2") is None

    await pragma(store._writer, "max_page_count=1000000")
    await turn_of(store, "h2", "h1", "x" * 200_000)
    assert len(await store.transcript("h2")) == 4
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if sys.platform != "linux" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small tmpfs needs Linux and its administrator")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_is_told_and_survived(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(600_000))
    store = await SqlStore.open(f"sqlite:///{small_disk}/store.db")
    written: list[str] = []

    async def fill() -> None:
        while len(written) < 100:
            written.append(await store.put_blob(f"{len(written):06}" * 10_000))

    with pytest.raises(AdapterError) as caught:
        await fill()
    assert caught.value.kind == FailureKind.DISK_FULL
    assert 0 < len(written) < 100
    assert len({await store.get_blob(name) for name in written}) == len(written)

    ballast.unlink()
    name = await store.put_blob("after")
    assert await store.get_blob(name) == "after"
    await store.close()


async def test_a_disk_without_room_for_a_store_is_a_full_disk(small_disk: Path) -> None:
    with (small_disk / "ballast").open("wb", buffering=0) as ballast:
        os.posix_fallocate(ballast.fileno(), 0, os.statvfs(small_disk).f_bavail * 4096)
    with pytest.raises(AdapterError) as caught:
        await SqlStore.open(f"sqlite:///{small_disk}/store.db")
    assert caught.value.kind == FailureKind.DISK_FULL


async def test_a_folder_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"Opening the store in .*nowhere") as caught:
        await SqlStore.open(f"sqlite:///{tmp_path}/nowhere/store.db")
    assert caught.value.kind == FailureKind.UNREACHABLE


async def test_a_file_that_is_no_database_is_misconfigured(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("These are not the pages you are looking for. " * 100)
    with pytest.raises(AdapterError, match="not a database") as caught:
        await SqlStore.open(f"sqlite:///{tmp_path}/store.db")
    assert caught.value.kind == FailureKind.MISCONFIGURED


@pytest.mark.parametrize("url", ["", "store.db", "sqlite://", "sqlite:///:memory:", "mysql://h/d"])
async def test_a_url_of_something_else_is_misconfigured(url: str) -> None:
    with pytest.raises(AdapterError, match="sqlite:///<absolute path") as caught:
        await SqlStore.open(url)
    assert caught.value.kind == FailureKind.MISCONFIGURED


async def test_a_postgresql_that_does_not_answer_is_unreachable_and_keeps_its_password() -> None:
    pytest.importorskip("psycopg", reason="the extra worktrain[postgres] is not installed")
    with pytest.raises(AdapterError) as caught:
        await SqlStore.open("postgresql://me:secret@127.0.0.1:1/worktrain")
    assert caught.value.kind == FailureKind.UNREACHABLE
    assert "127.0.0.1" in caught.value.said
    assert "secret" not in caught.value.said
