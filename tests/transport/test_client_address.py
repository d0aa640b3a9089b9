from __future__ import annotations

import pytest

from greenroom.transport.client_address import LOCAL, ClientAddresses

PROXIES = ("10.0.0.0/8", "127.0.0.1", "2001:db8::1")


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "real_ip", "text"),
    [
        ("192.0.2.1", "", "", "192.0.2.1"),
        ("::ffff:192.0.2.1", "", "", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "", "", "2001:db8:1:2::/64"),
        # Nobody may name another client, unless they are trusted.
        ("192.0.2.1", "198.51.100.7", "198.51.100.7", "192.0.2.1"),
        ("10.1.2.3", "198.51.100.7", "", "198.51.100.7"),
        ("127.0.0.1", "198.51.100.7", "", "198.51.100.7"),
        ("2001:db8::1", "198.51.100.7", "", "198.51.100.7"),
        # From the right: what the client itself has written does not count.
        ("10.1.2.3", "1.1.1.1, 198.51.100.7", "", "198.51.100.7"),
        ("10.1.2.3", "1.1.1.1,198.51.100.7, 10.9.9.9", "", "198.51.100.7"),
        ("10.1.2.3", "1.1.1.1, rubbish, 10.9.9.9", "", "10.9.9.9"),
        ("10.1.2.3", "rubbish", "", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.1, 10.0.0.2", "", "10.0.0.1"),
        ("10.1.2.3", ", ,,", "", "10.1.2.3"),
        ("10.1.2.3", "198.51.100.7:4711", "", "198.51.100.7"),
        ("10.1.2.3", "[2001:db8:1:2::9]:4711", "", "2001:db8:1:2::/64"),
        ("10.1.2.3", ",".join(["10.0.0.1"] * 5000), "", "10.0.0.1"),
        ("10.1.2.3", "", "198.51.100.7", "198.51.100.7"),
        ("10.1.2.3", "198.51.100.8", "198.51.100.7", "198.51.100.8"),
        ("fe80::1%eth0", "", "", "fe80::/64"),
        # A client that is named is never a local one.
        ("127.0.0.1", "127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "", "::1", "::1"),
    ],
)
def test_client(peer: str, forwarded_for: str, real_ip: str, text: str) -> None:
    client = ClientAddresses(PROXIES).read(peer, forwarded_for, real_ip)
    assert (client.text, client.is_local) == (text, False)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_local(peer: str) -> None:
    addresses = ClientAddresses(())
    assert addresses.read(peer).is_local
    assert not addresses.read(peer).is_proxied
    # A client cannot make itself local, and a local proxy that is not trusted is seen to be one.
    assert addresses.read(peer, "192.0.2.1").is_proxied
    assert not addresses.read("192.0.2.1", peer).is_local
    assert addresses.read("") == addresses.read("/run/socket") == LOCAL
