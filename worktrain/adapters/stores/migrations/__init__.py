"""Brings a database to the schema that this code knows, one process at a time."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, func, inspect, select, text

from worktrain.adapters.stores.lanes import Lane
from worktrain.contracts.failure import AdapterError, FailureKind

REVISIONS = ("r0001", "r0002", "r0003")
"""Every revision of `versions/`, oldest first; repeated here because importing Alembic costs
more than all of a start."""

WAIT_S_MAX = 30.0
POLL_S = 0.02
SCHEMA_LOCK = select(func.pg_advisory_xact_lock(7_305_809_116_202))


async def bring_to_head(lane: Lane, url: URL, place: str) -> None:
    """Create or migrate the tables, unless they are as they should be.

    `place` names the database in sentences. Raises `AdapterError`: misconfigured (the database
    belongs to a newer version), unreachable (another process holds it for 30 s).
    """

    def work(connection: Connection) -> None:
        found = _revision(connection, place)
        connection.rollback()
        if found != REVISIONS[-1]:
            _migrate(connection, place)

    if url.get_backend_name() == "sqlite":
        # The lock covers the first connection too: of four that turned WAL on at the same time
        # in a new file, one failed in 4 of 150 rounds, whatever its busy_timeout.
        async with _alone(Path(f"{url.database}.lock"), place):
            await lane.run(work)
    else:
        await lane.run(work)


def _revision(connection: Connection, place: str) -> str | None:
    """The revision that the database says it has, or None for an empty one."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    if found is not None and found not in REVISIONS:
        raise AdapterError(
            FailureKind.MISCONFIGURED,
            f"The store {place} was opened and has schema revision {found!r}, which this version "
            f"of worktrain does not know (its newest is {REVISIONS[-1]!r}): upgrade worktrain, "
            "or name another database.",
        )
    return found


def _migrate(connection: Connection, place: str) -> None:
    """All missing revisions in one transaction, which a death in between undoes."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(SCHEMA_LOCK)
    # Another process may have done it while this one waited for the lock.
    if _revision(connection, place) != REVISIONS[-1]:
        from alembic import command
        from alembic.config import Config

        config = Config()
        # A percent sign would be read as the beginning of a ConfigParser substitution.
        config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    connection.commit()


@asynccontextmanager
async def _alone(path: Path, place: str) -> AsyncIterator[None]:
    """Hold the lock file. It is never removed: whoever waits for it has it open."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        until_s = time.monotonic() + WAIT_S_MAX
        while not _taken(handle):
            if time.monotonic() > until_s:
                raise AdapterError(
                    FailureKind.UNREACHABLE,
                    f"The store {place} could not be opened: another process has held {path} "
                    f"for {WAIT_S_MAX:g} s, as one does that creates its tables. Look for a "
                    "worktrain process that hangs, and end it.",
                )
            await asyncio.sleep(POLL_S)
        yield
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Closing the handle, or dying, gives the lock back."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
