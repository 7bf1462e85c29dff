"""Logs of a process: JSON lines through one processor that masks secrets. Set up once."""

import logging
import re
from collections.abc import Iterable, MutableMapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, TextIO

MASK = "[masked]"
SECRET_LENGTH_MIN = 6
"""Shorter values would mask ordinary words."""
FILE_BYTES_MAX = 20_000_000
FILES_KEPT = 3

_HANDLER = "worktrain"

_PATTERNS = (
    # To the end of the text when the last line is missing: half a key is a key.
    (re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----(?:.*?-----END|.*)", re.DOTALL), MASK),
    (re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"), MASK),
    (re.compile(r"\bgh[a-z]_[A-Za-z0-9]{16,}"), MASK),
    (re.compile(r"\bgithub_pat_[A-Za-z0-9_]{16,}"), MASK),
    (re.compile(r"\bglpat-[A-Za-z0-9_-]{16,}"), MASK),
    (re.compile(r"\bxox[a-z]-[A-Za-z0-9-]{8,}"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(x-api-key['\"]?\s*[:=]\s*['\"]?)[^\s'\",]{6,}"), rf"\1{MASK}"),
    (re.compile(r"(://[^\s/:@]{0,100}):[^\s/@]{1,200}@"), rf"\1:{MASK}@"),
)


class Redaction:
    """Masks known secrets and whatever looks like one, however deep in a record."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = {secret for secret in secrets if len(secret) >= SECRET_LENGTH_MIN}
        # The longest first: one secret may be the beginning of another.
        self._known = sorted(known, key=len, reverse=True)

    def text(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, MASK)
        for pattern, mask in _PATTERNS:
            text = pattern.sub(mask, text)
        return text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.value(key): self.value(item) for key, item in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self.value(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        # Whatever else it is, it would be written as its repr.
        return self.text(repr(value))

    def __call__(
        self, _logger: Any, _method: str, record: MutableMapping[str, Any]
    ) -> dict[str, Any]:
        """The structlog processor; the last before the record is written."""
        return {self.text(key): self.value(value) for key, value in record.items()}


def setup(
    process: str,
    level: str = "info",
    *,
    stream: TextIO | None = None,
    file: Path | None = None,
    secrets: Iterable[str] = (),
) -> None:
    """Write this process's log as JSON lines, to `stream` or to `file` (private, 20 MB, 3 kept).

    Everything that logs, through structlog or the standard library, passes the redaction.
    A second call replaces the first.
    """
    import structlog

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]

    def name_process(
        _logger: Any, _method: str, record: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        record["process"] = process
        return record

    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            name_process,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            Redaction(secrets),
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = _handler(stream, file)
    handler.setFormatter(formatter)
    handler.set_name(_HANDLER)

    root = logging.getLogger()
    for earlier in [h for h in root.handlers if h.get_name() == _HANDLER]:
        root.removeHandler(earlier)
        earlier.close()
    root.addHandler(handler)
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def _handler(stream: TextIO | None, file: Path | None) -> logging.Handler:
    if file is None:
        return logging.StreamHandler(stream)
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.touch(mode=0o600)
    return RotatingFileHandler(
        file, maxBytes=FILE_BYTES_MAX, backupCount=FILES_KEPT, encoding="utf-8"
    )
