"""Which sandbox this host has, proven once for each kind of rules and then remembered."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from worktrain.adapters.shells import Shell
from worktrain.contracts.workspace import SandboxRules

Choose = Callable[[SandboxRules, Path], Awaitable[tuple[Shell, str]]]


class Sandboxes:
    """No probe, no shell: `choose` runs the probe and raises `AdapterError` when it fails."""

    def __init__(self, choose: Choose, scratch: Path) -> None:
        self._choose = choose
        self._scratch = scratch
        self._proven: dict[SandboxRules, tuple[Shell, str]] = {}

    async def shell(self, rules: SandboxRules) -> Shell:
        return (await self.proof(rules))[0]

    async def proof(self, rules: SandboxRules) -> tuple[Shell, str]:
        """The shell, and in one line what was proven of it."""
        if rules not in self._proven:
            self._scratch.mkdir(parents=True, exist_ok=True)
            self._proven[rules] = await self._choose(rules, self._scratch)
        return self._proven[rules]


def readable(rules: SandboxRules) -> tuple[Path, ...]:
    """The further paths that commands may read; `~` is the home of whoever runs the worker."""
    return tuple(Path(path).expanduser() for path in rules.read)
