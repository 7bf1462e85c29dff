"""What an error of the Messages API means, and what an operator is told of it."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CONFIG_PATH

BY_STATUS: Mapping[int, FailureKind] = {
    400: FailureKind.INVALID,
    401: FailureKind.AUTH,
    402: FailureKind.AUTH,
    403: FailureKind.AUTH,
    404: FailureKind.NOT_FOUND,
    408: FailureKind.UNREACHABLE,
    409: FailureKind.UNREACHABLE,
    413: FailureKind.CONTEXT_TOO_LONG,
    422: FailureKind.INVALID,
    429: FailureKind.RATE_LIMITED,
    499: FailureKind.UNREACHABLE,
    500: FailureKind.OVERLOADED,
    502: FailureKind.UNREACHABLE,
    503: FailureKind.OVERLOADED,
    504: FailureKind.UNREACHABLE,
    529: FailureKind.OVERLOADED,
}

BY_TYPE: Mapping[str, FailureKind] = {
    "invalid_request_error": FailureKind.INVALID,
    "authentication_error": FailureKind.AUTH,
    "billing_error": FailureKind.AUTH,
    "permission_error": FailureKind.AUTH,
    "not_found_error": FailureKind.NOT_FOUND,
    "request_too_large": FailureKind.CONTEXT_TOO_LONG,
    "rate_limit_error": FailureKind.RATE_LIMITED,
    "timeout_error": FailureKind.UNREACHABLE,
    "conflict_error": FailureKind.UNREACHABLE,
    "api_error": FailureKind.OVERLOADED,
    "overloaded_error": FailureKind.OVERLOADED,
}
"""Errors that arrive in the middle of a stream have a type, and no status."""

# Anthropic's own two sentences, then vLLM's, llama.cpp's and Ollama's.
TOO_LONG = re.compile(
    r"prompt is too long|exceed context limit|maximum context length|exceed_context_size"
    r"|exceeds the (available )?context|context (length|window) exceeded",
    re.IGNORECASE,
)
UNPAID = re.compile(r"credit balance|spend limit|usage limits?\b|billing", re.IGNORECASE)

HELP: Mapping[FailureKind, str] = {
    FailureKind.RATE_LIMITED: "it is tried again when the server allows it; fewer sessions at "
    "once or a higher limit of the account would help",
    FailureKind.OVERLOADED: "it is tried again in a while",
    FailureKind.UNREACHABLE: "it is tried again in a while; if that does not help, check the "
    "network, the server and ANTHROPIC_BASE_URL",
    FailureKind.STALLED: "it is tried again",
    FailureKind.AUTH: "set ANTHROPIC_API_KEY to a valid key that may use this model (for a server "
    "of your own any text will do), restart the worker and resume",
    FailureKind.NOT_FOUND: "make the server serve it and resume; or kill this pipeline, which "
    f"keeps the models it began with, name another under `models` in {CONFIG_PATH} on the base "
    "branch or with --model, and run the task again",
    FailureKind.MISCONFIGURED: "correct ANTHROPIC_BASE_URL",
    FailureKind.CONTEXT_TOO_LONG: "give the session a smaller task, or a model with a larger "
    f"context window under `models` in {CONFIG_PATH}",
    FailureKind.INVALID: "the same request would be refused again: please report this sentence",
}


def failure(
    attempt: str,
    status: int,
    error_type: str,
    message: str,
    retry_after: float | None = None,
) -> AdapterError:
    """What an error of the Messages API means. Status 200 is an error inside a stream."""
    kind = BY_TYPE.get(error_type) if status < 400 else BY_STATUS.get(status)
    if kind is None:
        kind = FailureKind.INVALID if 400 <= status < 500 else FailureKind.OVERLOADED
    if kind in (FailureKind.INVALID, FailureKind.OVERLOADED) and TOO_LONG.search(message):
        kind = FailureKind.CONTEXT_TOO_LONG
    what = f"the answer was {' '.join(filter(None, (str(status), error_type)))}: {line_of(message)}"
    if kind is FailureKind.INVALID and UNPAID.search(message):
        kind = FailureKind.AUTH
    if kind is FailureKind.AUTH and (status == 402 or UNPAID.search(message)):
        help_ = "add credit or raise the spend limit of the account, then resume"
        return AdapterError(kind, f"{attempt} failed: {what}; {help_}.")
    return told(kind, attempt, what, retry_after)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """The wait that a server asks for, in seconds from now, at most a day."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            seconds = float(milliseconds) / 1000
        elif not (value := headers.get("retry-after", "").strip()):
            return None
        elif value[0].isdigit():
            seconds = float(value)
        else:
            at = parsedate_to_datetime(value)
            seconds = (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except ValueError:
        return None
    return min(max(seconds, 0.0), 86_400.0) if math.isfinite(seconds) else None


def told(
    kind: FailureKind, attempt: str, what: str, retry_after: float | None = None
) -> AdapterError:
    """A failure of this kind in a sentence that ends with what helps against it."""
    return AdapterError(kind, f"{attempt} failed: {what}; {HELP[kind]}.", retry_after)


def causes_of(error: BaseException) -> str:
    """All that an error and its causes say."""
    said: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        said.append(str(cause).strip(" ."))
        cause = cause.__cause__
    return ": ".join(dict.fromkeys(filter(None, said)))


def line_of(text: str, chars_max: int = 300) -> str:
    """One line of a text from outside, without anything that looks like a key."""
    line = re.sub(r"(sk-|Bearer )[\w.~+/=-]{4,}", r"\1[key]", " ".join(text.split()))
    return line if len(line) <= chars_max else line[: chars_max - 1] + "…"
