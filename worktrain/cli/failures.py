"""Every failure as one sentence and an exit code; never a traceback for a foreseen one."""

import logging
import os
from pathlib import Path

import click

from worktrain.cli import screen
from worktrain.cli.exits import Exit
from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.engine.compile import Uncompilable
from worktrain.engine.parse import Unreadable

THE_CALLERS = frozenset({FailureKind.MISCONFIGURED, FailureKind.NOT_FOUND})
"""Failures that the person who called can mend by calling differently."""


def tell(error: Exception, as_json: bool) -> Exit:
    """Say what failed: on stderr, or with `--json` as an object on stdout."""
    kind, said, code = _understood(error)
    if as_json:
        screen.emit({"error": said, "kind": kind})
    elif isinstance(error, click.UsageError):
        error.show()
    else:
        screen.complain(said)
    return code


def _understood(error: Exception) -> tuple[str, str, Exit]:
    match error:
        case click.UsageError():
            return "usage", error.format_message(), Exit.USAGE
        case click.ClickException():
            return "failed", error.format_message(), Exit.FAILED
        case click.Abort():
            return "aborted", "Stopped on request.", Exit.FAILED
        case AdapterError():
            code = Exit.USAGE if error.kind in THE_CALLERS else Exit.FAILED
            return error.kind.value, error.said, code
        case Unreadable() | Uncompilable():
            return "unreadable", str(error), Exit.FAILED
    # Imported here: it brings Temporal's SDK, which a usage error should not wait for.
    from worktrain.client import Refused

    if isinstance(error, Refused):
        return "refused", f"It was not taken: {str(error).rstrip('.')}.", Exit.FAILED
    return "defect", _logged(error), Exit.FAILED


def _logged(error: Exception) -> str:
    """Write an unforeseen failure down, and say where."""
    said = f"WorkTrain failed in a way that was not foreseen ({type(error).__name__})"
    try:
        path = _log_file()
        logging.getLogger(__name__).error("command failed", exc_info=error)
    except (AdapterError, OSError):
        return f"{said}: {error}. Its home could not be opened to write more down; see `doctor`."
    return f"{said}. The details are at the end of {path}; please report this as a defect."


def _log_file() -> Path:
    from worktrain import telemetry
    from worktrain.settings import load

    settings = load(os.environ)
    path = settings.open_home() / "logs" / "cli.log"
    telemetry.setup("cli", file=path, secrets=settings.known_secrets)
    return path
