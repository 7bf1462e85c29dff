"""What is wanted, and where it came from."""

from worktrain.contracts.base import Value


class Task(Value):
    """A task as it was accepted. `body` is untrusted text, kept as it came."""

    source: str
    """Where it came from: `typed`, `issue:<file name>`."""
    title: str
    body: str = ""
