"""A worker process: takes tasks from Temporal until it is told to stop."""

import asyncio
import logging
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.client import Client as Temporal
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError

from worktrain import access, embedded, telemetry, wiring
from worktrain.client import connect
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.settings import Settings, external, load

INDEXED: Mapping[str, "IndexedValueType.ValueType"] = {
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
}

logger = logging.getLogger(__name__)


def work(env: Mapping[str, str], began: Callable[[dict[str, Any]], None]) -> None:
    """Be a worker until SIGTERM or SIGINT, then finish what is running and return.

    For the main thread of a process that ends with `os._exit` afterwards. `began` is told once
    that tasks are taken, from where. Raises `AdapterError`: misconfigured, unreachable.
    """
    embedded.adopt_lock()
    settings = load(env)
    # Fetched first, so that the log masks it.
    _ = settings.model_key
    telemetry.setup("worker", secrets=settings.known_secrets)
    if external(env) is None:
        embedded.start_server(settings)
    asyncio.run(_serve(settings, env, began))


async def _serve(
    settings: Settings, env: Mapping[str, str], began: Callable[[dict[str, Any]], None]
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    config = access.connection(settings, env)
    if config is None:
        raise AdapterError(
            FailureKind.UNREACHABLE,
            "Temporal's server went away while the worker was starting; `worktrain up` starts it.",
        )
    # What the SDK itself has to say goes through our log, and its redaction.
    forwarding = LogForwardingConfig(logger=logging.getLogger("temporalio.core"))
    told = LoggingConfig(
        filter=TelemetryFilter(core_level="WARN", other_level="ERROR"), forwarding=forwarding
    )
    temporal = await connect(
        {**config, "runtime": Runtime(telemetry=TelemetryConfig(logging=told))}
    )
    if external(env) is not None:
        await _add_attributes(temporal)
    where = {"address": config["target_host"], "queue": settings.task_queue}
    async with AsyncExitStack() as stack:
        reached = await wiring.outside(settings, stack)
        worker = wiring.worker(temporal, settings, reached, settings.task_queue)
        running = asyncio.create_task(worker.run())
        stopped = asyncio.create_task(stop.wait())
        logger.info("worker began", extra=where)
        began(where)
        await asyncio.wait({running, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not running.done():
            await worker.shutdown()
        await running
    logger.info("worker ended", extra=where)


async def _add_attributes(temporal: Temporal) -> None:
    """Make the search attributes that are missing; whether we may is up to the server."""
    service, namespace = temporal.operator_service, temporal.namespace
    try:
        known = await service.list_search_attributes(
            ListSearchAttributesRequest(namespace=namespace)
        )
        missing = {
            name: INDEXED[kind]
            for name, kind in embedded.SEARCH_ATTRIBUTES.items()
            if name not in known.custom_attributes
        }
        if missing:
            await service.add_search_attributes(
                AddSearchAttributesRequest(namespace=namespace, search_attributes=missing)
            )
    except RPCError as error:
        wanted = " ".join(
            f"--name {name} --type {kind}" for name, kind in embedded.SEARCH_ATTRIBUTES.items()
        )
        logger.warning(
            "search attributes not made; if pipelines are refused, run "
            "`temporal operator search-attribute create` with what is wanted",
            extra={"why": error.message, "wanted": wanted},
        )
