"""What is wanted, and where it came from."""

from pydantic import Field

from worktrain.contracts.base import Value, absent, digest


class Task(Value):
    """A task as it was accepted. `body` is untrusted text, kept as it came."""

    source: str
    """Where it came from: `typed`, `issue:<file name>`, `branch:<name>`."""
    title: str
    body: str = ""
    labels: tuple[str, ...] = Field(default=(), exclude_if=absent)
    place: str = Field(default="", exclude_if=absent)
    """Absolute path of the file that it was read from, to see whether it was edited since."""

    @property
    def fingerprint(self) -> str:
        """What an edit of title, text or labels changes."""
        return digest("\0".join((self.title, self.body, *sorted(self.labels))))
