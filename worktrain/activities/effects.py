"""The ledger of acts on the outside: each is intended, looked for, done, and its receipt kept."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from pydantic import TypeAdapter

from worktrain.adapters.stores import Store
from worktrain.contracts.base import Value

Reply = TypeVar("Reply")


async def once(
    store: Store,
    key: str,
    request: Value,
    reply: TypeAdapter[Reply],
    act: Callable[[], Awaitable[Reply]],
    look: Callable[[], Awaitable[Reply | None]] | None,
    stands: Callable[[Reply], bool] = lambda _: True,
) -> Reply:
    """Do an act of this key at most once, however often it is attempted.

    What has a receipt is answered from it. Anything else may have been done by an attempt whose
    answer was lost, so it is looked for before it is done; where looking fails, that
    `AdapterError` goes up and nothing is done. `look` is None only for an act that, done twice,
    leaves exactly what it leaves when done once. `stands` is False of an answer which says that
    nothing was done: the next attempt acts again.
    """
    row = await store.intend(key, request.model_dump_json())
    if row.receipt is not None:
        known = reply.validate_json(row.receipt)
        if stands(known):
            return known
    found = None if look is None else await look()
    done = await act() if found is None else found
    await store.receive(key, reply.dump_json(done).decode())
    return done
