"""Pages fetched over https, each from an address that was looked at before."""

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence

import httpx2

from worktrain.adapters.pages import rules, text
from worktrain.adapters.pages.rules import Target
from worktrain.contracts.failure import AdapterError, FailureKind

BYTES_MAX = 1_000_000
SECONDS_MAX = 10.0
REDIRECTS_MAX = 3
ADDRESSES_MAX = 4

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host, for a port. Raises OSError or UnicodeError."""

_KINDS: Mapping[int, FailureKind] = {
    401: FailureKind.AUTH,
    403: FailureKind.AUTH,
    404: FailureKind.NOT_FOUND,
    410: FailureKind.NOT_FOUND,
}
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_TEXT = re.compile(
    r"text/[a-z0-9.+-]+|application/(?:[a-z0-9.-]+\+)?(?:json|xml|yaml)|application/x-yaml"
)
# Of the encodings that Python knows some take minutes for a megabyte.
_CHARSET = re.compile(
    r"charset\s*=\s*\"?(utf-16|us-ascii|iso-8859-1?[1-9]|windows-125[0-8]|shift_jis|euc-jp|euc-kr"
    r"|gbk|gb2312|gb18030|big5)\b"
)


class HttpsPages:
    """`Pages` on the web itself. Proxies of the environment are not used: a proxy would look up
    the address of a host again, and might find another one."""

    def __init__(
        self, resolve: Resolve | None = None, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        self._resolve = resolve or _addresses
        self._transport = transport

    async def fetch(self, url: str, hosts: Sequence[str]) -> str:
        target = rules.target(url, hosts)
        doing = f"Fetching {rules.shown(url)}"
        try:
            async with asyncio.timeout(SECONDS_MAX), self._client() as client:
                for _ in range(REDIRECTS_MAX + 1):
                    found = await self._asked(client, target, doing)
                    if isinstance(found, str):
                        return found
                    target = _redirected(target, found, hosts)
        except TimeoutError as error:
            raise AdapterError(
                FailureKind.STALLED, f"{doing}: it was not there after {SECONDS_MAX:.0f} seconds."
            ) from error
        except httpx2.HTTPError as error:
            raise AdapterError(
                FailureKind.UNREACHABLE, f"{doing}: the host could not be reached: {_why(error)}."
            ) from error
        raise rules.refused(url, f"it redirects more than {REDIRECTS_MAX} times")

    def _client(self) -> httpx2.AsyncClient:
        transport = self._transport or httpx2.AsyncHTTPTransport(
            verify=ssl.create_default_context(), trust_env=False
        )
        return httpx2.AsyncClient(transport=transport, trust_env=False, timeout=SECONDS_MAX)

    async def _asked(
        self, client: httpx2.AsyncClient, target: Target, doing: str
    ) -> str | httpx2.URL:
        """The text of the page, or where it has moved to."""
        failed = httpx2.ConnectError("no address was tried")
        for address in await self._looked_up(target, doing):
            request = client.build_request(
                "GET",
                # The name stays in the certificate that is asked for, and in the Host header.
                target.url.copy_with(host=address),
                headers={
                    "Host": target.place,
                    "Accept": "text/*, application/json;q=0.9, */*;q=0.1",
                    "Accept-Encoding": "identity",
                    "User-Agent": "worktrain",
                },
                extensions={"sni_hostname": target.host},
            )
            try:
                response = await client.send(request, stream=True, follow_redirects=False)
            except httpx2.ConnectError as error:
                failed = error
                continue
            try:
                return await _read(response, target, doing)
            finally:
                await response.aclose()
        raise failed

    async def _looked_up(self, target: Target, doing: str) -> list[str]:
        try:
            found = await self._resolve(target.host, target.port)
        except (OSError, UnicodeError) as error:
            raise AdapterError(
                FailureKind.UNREACHABLE, f"{doing}: {target.host} has no address; check the name."
            ) from error
        rules.check_addresses(str(target.url), found)
        return list(dict.fromkeys(found))[:ADDRESSES_MAX]


async def _addresses(host: str, port: int) -> Sequence[str]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


async def _read(response: httpx2.Response, target: Target, doing: str) -> str | httpx2.URL:
    status = response.status_code
    moved = response.headers.get("location")
    if response.is_redirect and moved is not None:
        try:
            return target.url.join(moved)
        except httpx2.InvalidURL as error:
            raise rules.refused(str(target.url), "it redirects to what is no URL") from error
    if status != 200:
        why = _KINDS.get(status, FailureKind.UNREACHABLE)
        raise AdapterError(why, f"{doing}: the host answered {status}.")
    kind, _, parameters = response.headers.get("content-type", "").lower().partition(";")
    kind, url = kind.strip(), str(target.url)
    if not _TEXT.fullmatch(kind) and kind not in _HTML:
        raise rules.refused(url, f"it is {kind[:60] or 'of no kind'}, not text")
    # Unpacking could make a gigabyte of a kilobyte, and it was not asked for.
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise rules.refused(url, "it was sent compressed although it was asked for as it is")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > BYTES_MAX:
            raise rules.refused(url, f"it has more than {BYTES_MAX:,} bytes")
    said = _decoded(bytes(body), parameters)
    return await asyncio.to_thread(text.of_html, said) if kind in _HTML else said


def _decoded(body: bytes, parameters: str) -> str:
    named = _CHARSET.search(parameters)
    return body.decode(named[1] if named else "utf-8-sig", "replace")


def _redirected(before: Target, now: httpx2.URL, hosts: Sequence[str]) -> Target:
    after = rules.target(str(now), hosts)
    if after.place != before.place:
        raise rules.refused(str(before.url), f"it redirects to another host, {after.place}")
    return after


def _why(error: httpx2.HTTPError) -> str:
    told = " ".join(str(error).split())[:200].rstrip(".")
    return told or type(error).__name__
