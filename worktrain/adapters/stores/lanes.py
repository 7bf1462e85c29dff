"""How a store's database is reached: one thread for a SQLite file, a pool for PostgreSQL."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from worktrain.contracts.failure import AdapterError, FailureKind

BUSY_MS_MAX = 10_000
CONNECTIONS_MAX = 8

Answer = TypeVar("Answer")
Work = Callable[[Connection], Answer]


class Lane(Protocol):
    """Where work on a connection is done."""

    async def run(self, work: Work[Answer]) -> Answer: ...
    async def close(self) -> None: ...


class OneThread:
    """One connection in a thread of its own, used in turn.

    SQLite has one writer at a time anyway. Through the asynchronous driver every statement would
    be three or four trips to a thread; so a whole piece of work is one.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connection: Connection | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")

    async def run(self, work: Work[Answer]) -> Answer:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._do, work)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._end)
        self._thread.shutdown()

    def _do(self, work: Work[Answer]) -> Answer:
        if self._connection is None:
            self._connection = self._engine.connect()
        return work(self._connection)

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._engine.dispose()


class Pool:
    """As many connections as there is work, up to the pool's bound."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(self, work: Work[Answer]) -> Answer:
        async with self._engine.connect() as connection:
            return await connection.run_sync(work)

    async def close(self) -> None:
        await self._engine.dispose()


def target_of(url: str) -> URL:
    """The URL with the driver that we use, or a sentence on what it should have been."""
    drivers = {
        "sqlite": "sqlite+pysqlite",
        "postgresql": "postgresql+psycopg",
        "postgres": "postgresql+psycopg",
    }
    wanted = (
        "write sqlite:///<absolute path of a file> or "
        "postgresql://<user>:<password>@<host>/<database>."
    )
    try:
        named = make_url(url)
    except ArgumentError:
        # The text is not repeated: it may hold a password.
        said = f"The store could not be opened because its URL is not one: {wanted}"
        raise AdapterError(FailureKind.MISCONFIGURED, said) from None
    driver = drivers.get(named.drivername.partition("+")[0])
    is_a_file = bool(named.database) and named.database != ":memory:"
    if driver is None or (driver == "sqlite+pysqlite" and not is_a_file):
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"The store {place_of(named)} could not be opened because it is neither a SQLite file "
            f"nor PostgreSQL: {wanted}",
        )
    return named.set(drivername=driver)


def lanes(url: URL) -> tuple[Lane, Lane]:
    """Where to write and where to read."""
    if url.get_backend_name() == "postgresql":
        try:
            engine = create_async_engine(
                url,
                pool_size=CONNECTIONS_MAX,
                max_overflow=0,
                skip_autocommit_rollback=True,
                # A database may say SQL_ASCII of itself, and psycopg then answers bytes.
                connect_args={"client_encoding": "utf8", "connect_timeout": 10},
            )
        except ModuleNotFoundError as error:
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                f"The store {place_of(url)} could not be opened because {error.name} is not "
                "installed: install worktrain[postgres].",
            ) from error
        reading = engine.execution_options(isolation_level="AUTOCOMMIT")
        return Pool(engine), Pool(reading)

    writing = create_engine(url, pool_size=1, pool_reset_on_return=None)
    looking = create_engine(
        url,
        pool_size=1,
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
    )
    event.listen(writing, "connect", _prepare_writer)
    event.listen(looking, "connect", _prepare)
    return OneThread(writing), OneThread(looking)


def _prepare(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    try:
        # FULL: the workflow's history refers to rows, which must not be lost with the power.
        for pragma in (
            f"busy_timeout={BUSY_MS_MAX}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            cursor.execute(f"PRAGMA {pragma}")
    except BaseException:
        # A pool forgets a connection that could not be prepared, with its file.
        cursor.close()
        connection.close()
        raise
    cursor.close()


def _prepare_writer(connection: Any, unused: object) -> None:
    _prepare(connection, unused)
    # The driver then begins by itself with the first write. A transaction that read first and
    # wrote later could find that it is too late to wait.
    connection.isolation_level = "IMMEDIATE"


def place_of(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


# --- rows ------------------------------------------------------------------------------------
