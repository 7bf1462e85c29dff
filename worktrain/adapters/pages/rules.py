"""Which pages may be fetched: the URL was written by whoever wrote the task, so it is hostile."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import httpx2

from worktrain.contracts.failure import AdapterError, FailureKind
from worktrain.contracts.workspace import CONFIG_PATH

URL_CHARACTERS_MAX = 2_000
HTTPS_PORT = 443

# Addresses of the old internet, as the new one writes them.
_TRANSLATED = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Target:
    """A page that may be asked for."""

    url: httpx2.URL
    host: str
    port: int

    @property
    def place(self) -> str:
        """The host as the configuration names it."""
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"


def target(url: str, hosts: Sequence[str]) -> Target:
    """The page that a URL names. Raises invalid when it may not be fetched."""
    if len(url) > URL_CHARACTERS_MAX:
        raise refused(url, f"it is longer than {URL_CHARACTERS_MAX:,} characters")
    try:
        parsed = httpx2.URL(url)
        host = parsed.raw_host.decode("ascii").lower()
    except (httpx2.InvalidURL, ValueError) as error:
        raise refused(url, "it is not a URL") from error
    if parsed.scheme != "https":
        raise refused(url, "only https is fetched")
    if parsed.userinfo:
        raise refused(url, "it carries a name or a password")
    found = Target(parsed.copy_with(fragment=None), host, parsed.port or HTTPS_PORT)
    if found.place not in {known.strip().lower() for known in hosts}:
        raise refused(url, f"{found.place or 'its host'} is not in `gather_hosts` of {CONFIG_PATH}")
    return found


def check_addresses(url: str, addresses: Sequence[str]) -> None:
    """Raises invalid unless every address that the host's name stands for is a public one."""
    if not addresses:
        raise refused(url, "its host has no address")
    for address in addresses:
        if not public(address):
            raise refused(url, f"its host stands for {address}, which is not a public address")


def public(address: str) -> bool:
    """Whether an address is on the public internet, whatever it is wrapped in."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        inner = parsed.ipv4_mapped
        if parsed in _TRANSLATED:
            inner = IPv4Address(int(parsed) & 0xFFFF_FFFF)
        if inner is not None:
            return public(str(inner))
        if parsed.sixtofour or parsed.teredo or parsed.scope_id or parsed.is_site_local:
            return False
    return parsed.is_global and not (parsed.is_multicast or parsed.is_reserved)


def refused(url: str, why: str) -> AdapterError:
    """The error for a page that is not fetched."""
    return AdapterError(FailureKind.INVALID, f"{shown(url)} was not fetched: {why}.")


def shown(url: str) -> str:
    """A URL as it may stand in a sentence: one line, without a query, which may hold a secret."""
    bare = url.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = bare.partition("://")
    place, slash, path = rest.partition("/")
    line = f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}"
    return "".join(c if c.isprintable() else "·" for c in line[:200]) or "An empty URL"
