"""Which pages are fetched, and which are refused before or after the host was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import httpx2
import pytest
from pytest_httpserver import HTTPServer

from worktrain.adapters.pages import Pages, https
from worktrain.adapters.pages.https import HttpsPages
from worktrain.adapters.pages.in_memory import InMemoryPages
from worktrain.adapters.pages.rules import public, shown
from worktrain.contracts.failure import AdapterError, FailureKind

HOST = "wiki.example.com"
PAGE = f"https://{HOST}/page"
PUBLIC = "93.184.215.14"


class Local(httpx2.AsyncBaseTransport):
    """The way to a server of this machine for whoever asks the public address of a host."""

    def __init__(self, server: HTTPServer) -> None:
        self._real = httpx2.AsyncHTTPTransport(trust_env=False)
        self._server = server
        self.asked: list[tuple[str, str, object]] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        names = request.headers["host"], request.extensions.get("sni_hostname")
        self.asked.append((request.url.host, *names))
        if request.url.host != PUBLIC:
            raise httpx2.ConnectError("nobody is there")
        request.url = request.url.copy_with(
            scheme="http", host=self._server.host, port=self._server.port
        )
        return await self._real.handle_async_request(request)


def resolving(*addresses: str) -> https.Resolve:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return addresses

    return resolve


async def fetched(server: HTTPServer, url: str = PAGE) -> str:
    return await HttpsPages(resolving(PUBLIC), Local(server)).fetch(url, [HOST])


async def refused(server: HTTPServer, url: str = PAGE) -> AdapterError:
    with pytest.raises(AdapterError) as caught:
        await fetched(server, url)
    return caught.value


class Unreached(httpx2.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        raise AssertionError(f"{request.url} was asked for")


PAGES: list[Callable[[], Pages]] = [
    InMemoryPages,
    lambda: HttpsPages(resolving(PUBLIC), Unreached()),
]


@pytest.mark.parametrize("pages", PAGES, ids=["in memory", "https"])
@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://wiki.example.com/page", "only https is fetched"),
        ("file:///etc/passwd", "only https is fetched"),
        ("https://other.example.com/", "other.example.com is not in `gather_hosts`"),
        ("https://wiki.example.com.evil.example/", "is not in `gather_hosts`"),
        ("https://wiki.example.com:8443/", "wiki.example.com:8443 is not in `gather_hosts`"),
        ("https://wiki.example.com@evil.example/", "it carries a name or a password"),
        ("https://evil.example\\@wiki.example.com/", "was not fetched"),
        ("https://me:secret@wiki.example.com/", "it carries a name or a password"),
        ("https://[::1/", "it is not a URL"),
        ("https:///page", "its host is not in `gather_hosts`"),
        ("", "only https is fetched"),
        (f"{PAGE}/{'x' * 2_000}", "it is longer than 2,000 characters"),
    ],
)
async def test_what_may_not_be_fetched_is_refused_unasked(
    pages: Callable[[], Pages], url: str, said: str
) -> None:
    with pytest.raises(AdapterError) as caught:
        await pages().fetch(url, [HOST])
    assert caught.value.kind is FailureKind.INVALID
    assert said in caught.value.said
    assert "secret" not in caught.value.said


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1"),
        *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fec0::1", "ff02::1", "2001:db8::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("2002:7f00:1::", "2001:0:7f00:1::", "::7f00:1", "64:ff9b:1::1", "localhost", ""),
    ],
)
async def test_an_address_that_is_not_public_is_never_asked(address: str) -> None:
    assert not public(address)
    for addresses in ((address,), (PUBLIC, address)):
        with pytest.raises(AdapterError, match="not a public address") as caught:
            await HttpsPages(resolving(*addresses), Unreached()).fetch(PAGE, [HOST])
        assert caught.value.kind is FailureKind.INVALID


@pytest.mark.parametrize(
    "address", [PUBLIC, "2606:2800:21f::1", "::ffff:93.184.215.14", "64:ff9b::5db8:d70e"]
)
def test_a_public_address_is_public_however_it_is_written(address: str) -> None:
    assert public(address)


async def test_a_host_without_an_address_cannot_be_reached() -> None:
    async def nowhere(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    with pytest.raises(AdapterError, match=r"wiki\.example\.com has no address") as caught:
        await HttpsPages(nowhere, Unreached()).fetch(PAGE, [HOST])
    assert caught.value.kind is FailureKind.UNREACHABLE
    with pytest.raises(AdapterError, match="its host has no address"):
        await HttpsPages(resolving(), Unreached()).fetch(PAGE, [HOST])


async def test_a_page_is_fetched_from_the_address_that_was_looked_at(
    httpserver: HTTPServer,
) -> None:
    httpserver.expect_request("/page", query_string="a=1").respond_with_data(
        "# Title\n<b>kept</b> é", content_type="text/markdown; charset=utf-8"
    )
    way = Local(httpserver)
    pages = HttpsPages(resolving("2606:2800:21f::1", PUBLIC), way)
    assert await pages.fetch(f"{PAGE}?a=1#part", ["WIKI.example.com "]) == "# Title\n<b>kept</b> é"
    names = (HOST, HOST)
    assert way.asked == [("2606:2800:21f::1", *names), (PUBLIC, *names)]
    request, _ = httpserver.log[0]
    assert request.headers["Host"] == HOST
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in request.headers
    assert "Authorization" not in request.headers


async def test_of_html_the_text_is_kept(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data(
        "<title>T</title><p>One &amp; <i>two</i></p><script>no()</script>", content_type="text/html"
    )
    assert await fetched(httpserver) == "T\n\nOne & two"


async def test_another_charset_is_read_as_what_it_is(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data(
        "é".encode("latin-1"), content_type="text/plain; charset=ISO-8859-1"
    )
    assert await fetched(httpserver) == "é"


async def test_a_redirect_within_the_host_is_followed(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data(status=302, headers={"Location": "/there"})
    httpserver.expect_request("/there").respond_with_data("Here.", content_type="text/plain")
    assert await fetched(httpserver) == "Here."


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("https://listed.example.com/", "it redirects to another host, listed.example.com"),
        ("https://evil.example/", "evil.example is not in `gather_hosts`"),
        ("http://wiki.example.com/page", "only https is fetched"),
        ("https://wiki.example.com:444/", "wiki.example.com:444 is not in"),
        ("/page", "it redirects more than 3 times"),
    ],
)
async def test_a_redirect_elsewhere_is_refused(
    httpserver: HTTPServer, location: str, said: str
) -> None:
    httpserver.expect_request("/page").respond_with_data(status=307, headers={"Location": location})
    pages = HttpsPages(resolving(PUBLIC), Local(httpserver))
    with pytest.raises(AdapterError) as caught:
        await pages.fetch(PAGE, [HOST, "listed.example.com"])
    assert said in caught.value.said


async def test_a_redirect_to_nowhere_is_refused() -> None:
    class Moved(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(301, headers={"location": "https://x:y/"}, request=request)

    with pytest.raises(AdapterError, match="it redirects to what is no URL"):
        await HttpsPages(resolving(PUBLIC), Moved()).fetch(PAGE, [HOST])


@pytest.mark.parametrize("kind", ["image/png", "application/octet-stream", "application/zip", ""])
async def test_what_is_no_text_is_refused(httpserver: HTTPServer, kind: str) -> None:
    httpserver.expect_request("/page").respond_with_data(b"GIF89a", content_type=kind)
    assert "not text" in (await refused(httpserver)).said


@pytest.mark.parametrize(
    "kind", ["application/json", "application/ld+json", "TEXT/X-RST", "image/svg+xml"]
)
async def test_texts_of_many_kinds_are_taken_but_no_pictures(
    httpserver: HTTPServer, kind: str
) -> None:
    httpserver.expect_request("/page").respond_with_data("{}", content_type=kind)
    if kind.startswith("image"):
        assert "not text" in (await refused(httpserver)).said
    else:
        assert await fetched(httpserver) == "{}"


async def test_a_page_is_read_to_its_limit_and_no_further(httpserver: HTTPServer) -> None:
    exact = "x" * https.BYTES_MAX
    httpserver.expect_ordered_request("/page").respond_with_data(exact, content_type="text/plain")
    httpserver.expect_ordered_request("/page").respond_with_data(
        f"{exact}x", content_type="text/plain"
    )
    assert await fetched(httpserver) == exact
    assert "it has more than 1,000,000 bytes" in (await refused(httpserver)).said


async def test_what_is_sent_compressed_is_not_unpacked(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/page").respond_with_data(
        b"\x1f\x8b", content_type="text/plain", headers={"Content-Encoding": "gzip"}
    )
    assert "compressed" in (await refused(httpserver)).said


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, FailureKind.NOT_FOUND),
        (403, FailureKind.AUTH),
        (500, FailureKind.UNREACHABLE),
        (304, FailureKind.UNREACHABLE),
    ],
)
async def test_an_answer_without_a_page_is_said(
    httpserver: HTTPServer, status: int, kind: FailureKind
) -> None:
    httpserver.expect_request("/page").respond_with_data("why", status=status)
    error = await refused(httpserver, f"{PAGE}?token=secret")
    assert error.kind is kind
    assert error.said == f"Fetching {PAGE}: the host answered {status}."


async def test_a_host_that_never_ends_is_left(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Dripping(httpx2.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(
                200, headers={"content-type": "text/plain"}, stream=Endless(), request=request
            )

    class Endless(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            while True:
                await asyncio.sleep(0.005)
                yield b"."

    monkeypatch.setattr(https, "SECONDS_MAX", 0.1)
    with pytest.raises(AdapterError, match="it was not there after") as caught:
        await HttpsPages(resolving(PUBLIC), Dripping()).fetch(PAGE, [HOST])
    assert caught.value.kind is FailureKind.STALLED


async def test_a_host_where_nobody_listens_is_told(httpserver: HTTPServer) -> None:
    pages = HttpsPages(resolving("1.1.1.1", "1.0.0.1"), Local(httpserver))
    with pytest.raises(AdapterError, match="could not be reached: nobody is there") as caught:
        await pages.fetch(PAGE, [HOST])
    assert caught.value.kind is FailureKind.UNREACHABLE


def test_a_url_is_shown_without_its_secrets_and_on_one_line() -> None:
    assert shown("https://me:pw@a.example/b?token=x#y") == "https://a.example/b"
    assert "\n" not in shown("https://a.example/\n\x1b[31m")
    assert len(shown("https://a.example/" + "x" * 5_000)) <= 200
