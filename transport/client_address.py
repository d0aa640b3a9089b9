"""The address that a request comes from: the peer's, or the one that a trusted proxy names."""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LOCAL", "ClientAddress", "ClientAddresses"]

_Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_HOPS_LIMIT: Final = 16
"""Maximum number of proxies that are followed back. More are a loop, or a client that made them up."""
_NETWORK_BITS: Final = 64
"""Clients of IPv6 get a network of this size, and may take a new address in it for each request."""


class ClientAddress(NamedTuple):
    text: str
    """An IPv4 address, or the /64 network of an IPv6 address. Empty if the peer has none."""
    is_local: bool
    """Whether the client runs on this machine. One that a proxy names does not, whatever its address: some proxies pass
    on what the client itself has written."""
    is_proxied: bool = False
    """Whether the request names another client, and its sender is not trusted to do so."""


LOCAL: Final = ClientAddress("", is_local=True)
"""A peer without an address, such as that of a Unix socket."""


class ClientAddresses:
    """Reads addresses. `trusted_proxies` are addresses or networks; only they may name another client."""

    def __init__(self, trusted_proxies: Iterable[str]) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted_proxies]

    def read(self, peer: str, forwarded_for: str = "", real_ip: str = "") -> ClientAddress:
        """The client of a request. `peer` is the address of the socket's other end. `forwarded_for` holds the values
        of X-Forwarded-For, joined with commas; `real_ip` is X-Real-IP, which only counts without the former.

        Each proxy appends the address that it saw to X-Forwarded-For. So the list is read from the right, as far as its
        entries are those of trusted proxies. The first other entry is the client: whatever stands before it may be
        made up.
        """
        if not forwarded_for and not real_ip:
            return _direct(peer)
        ip = _parse(peer)
        if ip is None:
            return LOCAL
        if not self._is_trusted(ip):
            return _client(ip)._replace(is_proxied=True)
        for entry in reversed((forwarded_for or real_ip).rsplit(",", _HOPS_LIMIT)[-_HOPS_LIMIT:]):
            named = _parse(entry)
            if named is None:
                break
            ip = named
            if not self._is_trusted(ip):
                break
        return _client(ip)._replace(is_local=False)

    def _is_trusted(self, ip: _Ip) -> bool:
        return any(ip in network for network in self._trusted)


def _client(ip: _Ip) -> ClientAddress:
    if ip.version == 4 or ip.is_loopback:
        return ClientAddress(str(ip), ip.is_loopback)
    network = ipaddress.ip_network((ip, _NETWORK_BITS), strict=False)
    return ClientAddress(str(network), is_local=False)


@lru_cache(1024)
def _direct(peer: str) -> ClientAddress:
    ip = _parse(peer)
    return LOCAL if ip is None else _client(ip)


def _parse(text: str) -> _Ip | None:
    """Read an address, which may have a port, or a zone. An IPv4 address that is written as one of IPv6 is IPv4."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        ip = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return ip.ipv4_mapped or ip if isinstance(ip, ipaddress.IPv6Address) else ip
