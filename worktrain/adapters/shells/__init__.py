"""Shells: how a command of unknown intent is run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Command:
    """A shell command and all that it may touch.

    It may write below `writable` and a temporary directory of its own, read the system, what
    `PATH` needs and `readable`, and nothing of the user's home. It sees only `env`.
    """

    line: str
    cwd: Path
    writable: tuple[Path, ...]
    timeout_s: float
    readable: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    network: bool = False
    output: Path | None = None
    """File that receives everything the command prints, up to `output_bytes_max`."""
    output_bytes_max: int = 4_000_000


@dataclass(frozen=True)
class CommandResult:
    """`exit_code` is None when the command was killed at its time limit."""

    exit_code: int | None
    output: str
    """stdout and stderr as they came, at most `output_bytes_max` bytes, UTF-8 with replacement."""
    output_bytes: int
    """How much it printed, kept or not."""
    seconds: float

    @property
    def timed_out(self) -> bool:
        return self.exit_code is None


class Shell(Protocol):
    name: str

    async def run(
        self, command: Command, progress: Callable[[str], None] = lambda _: None
    ) -> CommandResult:
        """Run to the end, or kill the whole process group at the time limit or on cancellation.

        `progress` is called every few seconds while it runs. Raises `AdapterError`:
        no_sandbox (it could not be confined, so it was not run), disk_full.
        """
        ...
