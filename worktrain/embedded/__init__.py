"""Finds, starts and keeps alive the server and the worker, for people without a cluster.

Three processes live on one home: Temporal's `server`, the `worker`, and the `supervisor` that
starts both again when they die. Whoever needs them calls `ensure` and `down`; nothing is ever
found, or ended, by name.
"""

import sys
from collections.abc import Mapping

from worktrain.contracts.base import Value
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.embedded.processes import ENDING_S_MAX, Process, Role, adopt_lock
from worktrain.embedded.server import (
    HOST,
    NAMESPACE,
    SEARCH_ATTRIBUTES,
    Endpoints,
    check_version,
    find_program,
    healthy,
    start_server,
    stop_server,
)
from worktrain.embedded.supervisor import ensure_worker, supervise
from worktrain.settings import Settings, external

__all__ = [
    "HOST",
    "NAMESPACE",
    "SEARCH_ATTRIBUTES",
    "Endpoints",
    "Process",
    "Status",
    "adopt_lock",
    "check_version",
    "down",
    "ensure",
    "find_program",
    "healthy",
    "start_server",
    "status",
    "stop_server",
    "supervise",
]


class Status(Value):
    """The three processes; None is not running."""

    server: Process | None
    supervisor: Process | None
    worker: Process | None


def ensure(settings: Settings, env: Mapping[str, str], worker: bool = False) -> Endpoints:
    """See to it that a server answers and a worker takes its tasks; done already is done.

    With a Temporal server of its own configured in `env`, nothing is started but, if `worker`,
    the supervised worker. A worker whose settings differ from these is replaced, unless `env`
    says nothing at all of how to reach a model. Blocks up to 60 s for each. Raises
    `AdapterError`: missing_program, misconfigured, unreachable (with the end of the log).
    """
    own = external(env)
    if own is None:
        endpoints = start_server(settings)
    else:
        endpoints = Endpoints(own.address, own.namespace, None)
        if not worker:
            return endpoints
        if sys.platform == "win32":
            raise AdapterError(
                FailureKind.MISCONFIGURED,
                "A worker is not supervised on Windows: keep `worktrain worker` running.",
            )
    ensure_worker(settings, env, endpoints)
    return endpoints


def down(settings: Settings) -> list[str]:
    """End supervisor, worker and server, in this order; what was ended.

    Raises `AdapterError`: conflict (something holds a lock and could not be ended).
    """
    # Which ran is seen first: the supervisor takes the worker with it.
    roles = [(role, role.held()) for role in (Role(name, settings) for name in ENDING_S_MAX)]
    for role, _ in roles:
        role.end()
    return [role.name for role, ran in roles if ran]


def status(settings: Settings) -> Status:
    """What is running now."""
    return Status(
        server=Role("server", settings).running(),
        supervisor=Role("supervisor", settings).running(),
        worker=Role("worker", settings).running(),
    )
