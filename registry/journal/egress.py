"""Where webhooks may go: an operator's allowlist, our own block list, and the vetted address that is dialled.

Receivers on one's own premises have private addresses, so refusing those says nothing; the operator names what may
be reached. What a name resolves to is vetted at every delivery, and the address that was vetted is the one dialled:
a resolver that answers differently the second time is never asked a second time.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from registry.errors import InvalidInput

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Sequence[str]]

# Python's `is_global` calls NAT64, 6to4 and ::127.0.0.1 global, so the list is ours.
BLOCKED: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "100.100.100.200/32",  # metadata, Alibaba
        "127.0.0.0/8",
        "168.63.129.16/32",  # metadata, Azure
        "169.254.0.0/16",  # link-local, metadata
        "192.0.0.0/24",  # protocol assignments, metadata of Oracle
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",  # unspecified, loopback, IPv4-compatible
        "::ffff:0:0:0/96",  # IPv4-translated
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",  # protocol assignments, Teredo
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",
        "5f00::/16",
        "fd00:ec2::/32",  # metadata, AWS
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
    )
)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Python reads `[::1]evil` as ::1.
_AUTHORITY = re.compile(r"(\[[^\[\]]+\]|[^\[\]:]+)(:[0-9]{1,5})?")
DEFAULT_PORTS = {"http": 80, "https": 443}


class AddressRefused(InvalidInput):
    """Webhooks may not go there."""

    code = "address-refused"


@dataclass(frozen=True)
class Target:
    """A webhook's URL, taken apart once: what is checked is what is dialled."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def literal(self) -> Address | None:
        """The host, when it is an address and no name."""
        return _address(self.host)


@dataclass(frozen=True)
class Allowlist:
    """What the operator named: hosts (any port), hosts with a port, networks."""

    hosts: frozenset[tuple[str, int | None]]
    networks: tuple[Network, ...]

    @classmethod
    def parse(cls, entries: Sequence[str]) -> Allowlist:
        """From `host`, `host:port`, `address`, `[v6]:port` or `10.0.0.0/8`. Raises ValueError, naming the entry."""
        hosts: set[tuple[str, int | None]] = set()
        networks: list[Network] = []
        for entry in entries:
            try:
                if "/" in entry:
                    networks.append(ipaddress.ip_network(entry))
                elif (bare := _address(entry)) is not None:
                    hosts.add((str(bare), None))
                else:
                    parts = urlsplit(f"//{entry.lower()}")
                    hosts.add((_canonical(parts.hostname or ""), parts.port))
            except ValueError as error:
                raise ValueError(f"ASSAY_WEBHOOK_HOSTS: {entry!r} is no host[:port] or network") from error
        return cls(frozenset(hosts), tuple(networks))

    def names(self, host: str, port: int) -> bool:
        """Whether the host itself is listed, with this port or with any."""
        return (host, port) in self.hosts or (host, None) in self.hosts

    def covers(self, address: Address) -> bool:
        """Whether the address lies in a listed network."""
        return any(address.version == network.version and address in network for network in self.networks)


def parse_url(url: str) -> Target:
    """Take a URL apart. Raises AddressRefused for anything but a plain http(s) URL of one unambiguous host."""
    if not url.isascii() or any(c <= " " or c in '\\"<>^`{|}\x7f' for c in url):
        raise AddressRefused("A URL is plain ASCII, without spaces, backslashes or quotes.", field="url")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("This is not a URL.", field="url") from None
    if parts.scheme not in DEFAULT_PORTS:
        raise AddressRefused("A webhook's URL begins with https:// or http://.", field="url")
    if "@" in parts.netloc or parts.fragment or url.endswith("#"):
        raise AddressRefused("A webhook's URL holds no user, password or fragment.", field="url")
    if port == 0 or not _AUTHORITY.fullmatch(parts.netloc):
        raise AddressRefused(
            "After :// stands a host, and a port from 1 to 65535 when there is one.", field="url"
        )
    try:
        host = _canonical(parts.hostname or "")
        if parts.netloc.startswith("[") and ":" not in host:
            raise ValueError("a name in brackets")
    except ValueError:
        raise AddressRefused(
            "The host is a plain name, or an address in its usual notation (10.0.0.7, [fd12::7]).",
            field="url",
        ) from None
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, port or DEFAULT_PORTS[parts.scheme], path)


def check_target(target: Target, allowed: Allowlist) -> None:
    """Whether it can be allowed at all, before anything is resolved. Raises AddressRefused."""
    if not allowed.hosts and not allowed.networks:
        raise AddressRefused(
            "The operator allows webhooks to no host: ASSAY_WEBHOOK_HOSTS is empty.", field="url"
        )
    if allowed.names(target.host, target.port):
        return
    if target.literal is None and allowed.networks:
        return  # what the name resolves to decides, at every delivery
    if target.literal is None or not allowed.covers(target.literal):
        raise AddressRefused(
            f"The operator does not allow webhooks to {target.host}:{target.port}: "
            "it is not in ASSAY_WEBHOOK_HOSTS.",
            field="url",
        )


def vet(target: Target, allowed: Allowlist, resolve: Resolver | None = None) -> str:
    """The address to dial. Every answer of the resolver must pass, or none is dialled. Raises AddressRefused."""
    check_target(target, allowed)
    named = allowed.names(target.host, target.port)
    answers = [str(target.literal)] if target.literal else (resolve or resolved)(target.host, target.port)
    if not answers:
        raise AddressRefused(f"{target.host} resolves to nothing.", field="url")
    for answer in answers:
        address = _address(answer)
        if address is None or not _passes(address, target, allowed, named=named):
            raise AddressRefused(
                f"{target.host} leads to {answer}, which webhooks may not reach unless the operator "
                "lists that address or its network in ASSAY_WEBHOOK_HOSTS.",
                field="url",
            )
    return answers[0]


def _passes(address: Address, target: Target, allowed: Allowlist, *, named: bool) -> bool:
    if allowed.covers(address):
        return True
    if not named:
        return False
    # Named by its address, it is meant, whatever it is; by a name, it must not lead to one of these.
    return target.literal is not None or not blocked(address)


def blocked(address: Address) -> bool:
    """Whether a name must not lead there: this machine, its link, metadata services, wrapped and special forms."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return any(address.version == network.version and address in network for network in BLOCKED)


def resolved(host: str, port: int) -> list[str]:
    """What the system's resolver says, without doubles. Nothing found is an empty list."""
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _canonical(host: str) -> str:
    """A host in one spelling. Raises ValueError when resolvers might disagree on what it is."""
    address = _address(host)
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise ValueError("a zone")
    if address is not None:
        return str(address)
    labels = host.lower().removesuffix(".").split(".")
    if not all(_LABEL.fullmatch(label) for label in labels) or len(host) > 253:
        raise ValueError("no name")
    # 2130706433, 0x7f.1 and 127.1 are addresses to some resolvers.
    if re.fullmatch(r"[0-9]+|0x[0-9a-f]*", labels[-1]):
        raise ValueError("an address in disguise")
    return ".".join(labels)
