"""Runs one command confined by sandlock's native library, then ends everything it started.

A program of its own (`python -I -S sandlock_exec.py POLICY LINE`), because the library forks,
which a process with threads must not do. It binds the C interface itself: importing the sandlock
package costs 50 ms a command, this 5 ms.
"""

import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
from typing import Any

PR_SET_PDEATHSIG = 1
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
INHERIT = 0
GRACE_S = 1.0
SWEEP_S = 0.8
"""Together less than the two seconds after which the runner kills this process."""
NOT_CONFINED = 125
PROCESSES_MAX = 1000


class Stopped(Exception):
    """The runner, or its end, wants the command to end."""


def main(policy: dict[str, Any], line: str) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    # Orphans of the command become children of this process, so that none can hide.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != policy["parent"]:
        return NOT_CONFINED
    # Python ignores it, and what is ignored stays ignored in the command.
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    os.set_inheritable(policy["status_fd"], False)
    ended, end = os.pipe()
    codes = [NOT_CONFINED]
    try:
        signal.signal(signal.SIGTERM, stop)
        runner = threading.Thread(target=run, args=(policy, line, codes, end), daemon=True)
        runner.start()
        os.read(ended, 1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    except Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        codes = [128 + signal.SIGTERM]
        kill_all(signal.SIGTERM)
        select.select([ended], [], [], GRACE_S)
    sweep()
    return codes[0]


def stop(number: int, frame: object) -> None:
    raise Stopped


def run(policy: dict[str, Any], line: str, codes: list[int], end: int) -> None:
    try:
        codes[0] = confined(policy, line)
    except (OSError, AttributeError) as error:
        os.write(2, f"sandlock: {error}\n".encode())
    finally:
        os.write(end, b"x")


def confined(policy: dict[str, Any], line: str) -> int:
    """Build the policy, start the command in it, say so, and wait for its exit code."""
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    library = ctypes.CDLL(policy["library"])

    def bind(name: str, answer: Any, *arguments: Any) -> Any:
        function = getattr(library, f"sandlock_{name}")
        function.restype, function.argtypes = answer, arguments
        return function

    builder = bind("sandbox_builder_new", pointer)()
    for setting, values in policy["settings"]:
        setter = bind(f"sandbox_builder_{setting}", pointer, pointer, text)
        for value in values:
            builder = setter(builder, os.fsencode(value))
    limit = bind("sandbox_builder_max_processes", pointer, pointer, ctypes.c_uint32)
    builder = limit(builder, PROCESSES_MAX)
    failed, why = number(0), text()
    build = bind("sandbox_build", pointer, pointer, ctypes.POINTER(number), ctypes.POINTER(text))
    sandbox = build(builder, ctypes.byref(failed), ctypes.byref(why))
    if not sandbox or failed.value:
        raise OSError((why.value or b"the policy was refused").decode("utf-8", "replace"))
    argv = [os.fsencode(policy["shell"]), b"-c", os.fsencode(line)]
    if os.geteuid() == 0:
        drop_capabilities()
    streams = [number(-1) for _ in range(3)]
    popen = bind(
        "popen",
        pointer,
        *(pointer, text, ctypes.POINTER(text), ctypes.c_uint, number, number, number),
        *(ctypes.POINTER(number) for _ in streams),
    )
    handle = popen(
        sandbox,
        # The library refuses a name that is in use by any other command of this host.
        f"worktrain-{os.urandom(8).hex()}".encode(),
        (text * len(argv))(*argv),
        len(argv),
        *(INHERIT for _ in streams),
        *(ctypes.byref(stream) for stream in streams),
    )
    if not handle:
        raise OSError("the kernel refused the confinement")
    os.write(policy["status_fd"], b"confined\n")
    result = bind("handle_wait_timeout", pointer, pointer, ctypes.c_uint64)(handle, 0)
    if not result:
        return 128 + signal.SIGKILL
    if bind("result_reason", ctypes.c_uint, pointer)(result) == 0:
        return int(bind("result_exit_code", number, pointer)(result)) & 0xFF
    number_of = int(bind("result_signal", number, pointer)(result))
    return 128 + (number_of if number_of > 0 else signal.SIGKILL)


def drop_capabilities() -> None:
    """Nothing that this thread starts will hold a capability: Landlock stops no raw device."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def sweep() -> None:
    """Kill until nothing is left: a killed process's children turn up as ours."""
    until = time.monotonic() + SWEEP_S
    while any_child() and time.monotonic() < until:
        if not kill_all(signal.SIGKILL):
            time.sleep(0.001)


def any_child() -> bool:
    """Collect what has ended; whether any child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def kill_all(number: int) -> int:
    """Signal every process below this one; answers how many."""
    parents: dict[int, int] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                state, parent = file.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        if state != b"Z":
            parents[int(name)] = int(parent)
    below = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    below.discard(os.getpid())
    for pid in below:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue
    return len(below)


if __name__ == "__main__":
    os._exit(main(json.loads(sys.argv[1]), sys.argv[2]))
