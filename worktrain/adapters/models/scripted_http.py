"""A server that speaks the Anthropic Messages API and says what a scenario says."""

import argparse
import asyncio
import hmac
import json
import socket
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from worktrain.adapters.models.messages_rules import problem
from worktrain.adapters.models.messages_wire import error_of, parsed, stream, unmarked, whole
from worktrain.adapters.models.scenario import (
    ApiError,
    Refused,
    Said,
    Scenario,
    answer,
    load,
)
from worktrain.contracts.base import JsonObject, digest
from worktrain.contracts.failure import AdapterError


def app(scenario: Scenario, log: Path | None = None) -> Starlette:
    """The server; requests to /v1/messages are appended to `log`, one JSON object a line.

    How often a request was seen survives a restart with the same log.
    """
    ledger = _Ledger(log)

    async def messages(request: Request) -> Response:
        body, error = await _read(request, scenario)
        name = digest(json.dumps(unmarked(body), sort_keys=True))
        seen = ledger.seen[name]
        said = (
            Refused(None, 0, error) if error is not None else answer(scenario, parsed(body), seen)
        )
        status = said.error.status if isinstance(said, Refused) else 200
        if status == 200 and isinstance(said, Refused) and not body.get("stream"):
            status = 529
        ledger.add(
            digest=name,
            session=said.session,
            turn=said.turn,
            status=status,
            n=seen + 1,
            input_tokens=said.usage.sent if isinstance(said, Said) else 0,
        )
        request_id = f"req_{name[:20]}{seen:04}"
        if isinstance(said, Refused) and status != 200:
            return _refusal(said.error, status, request_id)
        message_id = f"msg_{name[:24]}"
        if not body.get("stream"):
            assert isinstance(said, Said)
            await asyncio.sleep(said.delay_s)
            reply = whole(message_id, body["model"], said)
            return JSONResponse(reply, headers={"request-id": request_id})
        return StreamingResponse(
            stream(message_id, body["model"], said),
            media_type="text/event-stream",
            headers={"request-id": request_id, "cache-control": "no-cache"},
        )

    async def count_tokens(request: Request) -> Response:
        body, error = await _read(request, scenario, counting=True)
        if error is not None:
            return _refusal(error, error.status, "req_count")
        return JSONResponse({"input_tokens": max(1, len(json.dumps(unmarked(body))) // 4)})

    async def models(request: Request) -> Response:
        if (error := _unauthorised(request, scenario)) is not None:
            return _refusal(error, error.status, "req_models")
        data = [_model(name) for name in scenario.models or ()]
        ends = {f"{end}_id": data[at]["id"] if data else None for end, at in _ENDS}
        return JSONResponse({"data": data, "has_more": False, **ends})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        error = _unauthorised(request, scenario) or _unknown(name, scenario)
        if error is not None:
            return _refusal(error, error.status, "req_models")
        return JSONResponse(_model(name))

    async def nothing(request: Request, _: Exception) -> Response:
        return _refusal(_not_found(f"{request.method} {request.url.path}"), 404, "req_none")

    return Starlette(
        routes=[
            Route("/v1/messages", messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", count_tokens, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", model),
        ],
        exception_handlers={404: nothing, 405: nothing},
    )


def main(arguments: list[str] | None = None) -> int:
    """Serve on loopback until told to end; prints {"url": ...} when it can be called."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="scripted_http", description=__doc__)
    parser.add_argument("--scenario", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log", type=Path)
    options = parser.parse_args(arguments)
    try:
        scenario = load(options.scenario)
    except AdapterError as error:
        sys.stderr.write(error.said + "\n")
        return 2
    with socket.create_server(("127.0.0.1", options.port)) as listening:
        config = uvicorn.Config(
            app(scenario, options.log), log_level="warning", timeout_graceful_shutdown=1
        )
        # From here on the kernel keeps callers waiting, so none is turned away.
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        sys.stdout.write(json.dumps({"url": url}) + "\n")
        sys.stdout.flush()
        uvicorn.Server(config).run(sockets=[listening])
    return 0


class _Ledger:
    """What was asked, and how often."""

    def __init__(self, path: Path | None) -> None:
        self.seen: Counter[str] = Counter()
        self._path = path
        if path is None or not path.exists():
            return
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            # The last line is half a line when the process was killed while writing it.
            if line.endswith("}"):
                self.seen[json.loads(line)["digest"]] += 1
        if text and not text.endswith("\n"):
            self._write("\n")

    def add(self, **fact: Any) -> None:
        self.seen[fact["digest"]] += 1
        self._write(json.dumps({"at": datetime.now(UTC).isoformat(), **fact}) + "\n")

    def _write(self, text: str) -> None:
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as log:
                log.write(text)


# --- requests ------------------------------------------------------------------------------


async def _read(
    request: Request, scenario: Scenario, counting: bool = False
) -> tuple[JsonObject, ApiError | None]:
    """The body, and why it is refused, if it is."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        body = None
    if not isinstance(body, dict):
        return {}, _unauthorised(request, scenario) or _invalid("the body is not a JSON object")
    wrong = None
    if not request.headers.get("anthropic-version"):
        wrong = _invalid("anthropic-version: header is required")
    elif (said := problem(body, counting)) is not None:
        wrong = _invalid(said)
    return body, (
        _unauthorised(request, scenario) or wrong or _unknown(str(body.get("model")), scenario)
    )


def _unauthorised(request: Request, scenario: Scenario) -> ApiError | None:
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
    shown = request.headers.get("x-api-key") or bearer
    if scenario.key is None or hmac.compare_digest(shown.encode(), scenario.key.encode()):
        return None
    return ApiError(status=401, type="authentication_error", message="invalid x-api-key")


def _unknown(model: str, scenario: Scenario) -> ApiError | None:
    known = scenario.models is None or model in scenario.models
    return None if known else _not_found(f"model: {model}")


def _not_found(what: str) -> ApiError:
    return ApiError(status=404, type="not_found_error", message=what)


def _invalid(what: str) -> ApiError:
    return ApiError(status=400, type="invalid_request_error", message=what)


# --- answers -------------------------------------------------------------------------------

_ENDS = (("first", 0), ("last", -1))


def _refusal(error: ApiError, status: int, request_id: str) -> JSONResponse:
    headers = {"request-id": request_id}
    if error.retry_after_s is not None:
        headers["retry-after"] = f"{error.retry_after_s:g}"
    body = {"type": "error", "error": error_of(error), "request_id": request_id}
    return JSONResponse(body, status, headers)


def _model(name: str) -> JsonObject:
    return {
        "type": "model",
        "id": name,
        "display_name": name,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    }


if __name__ == "__main__":
    sys.exit(main())
