"""Where webhooks may go. The hostile forms are those that other products were tricked with."""

from __future__ import annotations

import ipaddress

import pytest

from registry.journal.egress import AddressRefused, Allowlist, blocked, check_target, parse_url, vet

HOSTILE_URLS = [
    "ftp://ci.example/x", "file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "javascript:alert(1)",
    "//ci.example/x", "ci.example/x", "http://", "http:///x", "http://?x", "http://ci.example:0/",
    "http://ci.example:/", "http://ci.example:99999/", "http://ci.example:-1/", "http://ci.example:8o/",
    "http://user@ci.example/", "http://user:secret@ci.example/", "http://ci.example@169.254.169.254/",
    "http://169.254.169.254\\@ci.example/", "http://ci.example\\.evil.example/",
    "http://ci.example/#@169.254.169.254/", "http://ci.example /x", "http://ci.example/x y",
    'http://ci.example/"x', "http://ci.example/<x>", "http://2130706433/", "http://017700000001/",
    "http://0x7f000001/", "http://0x7f.0.0.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/",
    "http://127.0.0.0x1/", "http://127.000.000.001/", "http://0/", "http://1.2.3.4.5/", "http://256.1.1.1/",
    "http://ci..example/", "http://.example/", "http://-ci.example/", "http://ci_x.example/",
    "http://ci.example../", "http://[::1/", "http://[::1]x/", "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/", "http://[::ffff:127.0.0.1%1]/", "http://[not]/", "http://[v1.a]/", "http://%31%32%37.0.0.1/",
    "http://ci%00.example/", "http://ci.example%2f@169.254.169.254/", "http://*/",
    "http://ci.example,127.0.0.1/", "http://ci.example;127.0.0.1/", "http://ci.example|x/",
    "http://{host}/", "https://xn--/", "", "http://ci.example\t/x", "http://ci.example\n/x",
    "http://ci.example/\r\nX-Injected: 1", "http://ci.example/\x00", "http://\uff11\uff12\uff17.0.0.1/",
    "http://\u24d4xample.com/", "http://127\u30020\u30020\u30021/", "http://ci.exam\u200bple/",
]  # fmt: skip

BLOCKED_ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "169.254.1.1", "168.63.129.16",
    "100.100.100.200", "192.0.0.192", "224.0.0.1", "239.255.255.255", "255.255.255.255", "240.0.0.1",
    "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "192.0.2.1", "::", "::1", "::127.0.0.1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "2001::1",
    "2001:db8::1", "fe80::1", "fec0::1", "ff02::1", "100::1", "fd00:ec2::254",
]  # fmt: skip

OPEN_ADDRESSES = [
    "10.0.0.7", "172.16.5.5", "192.168.1.20", "8.8.8.8", "fd12:3456::7", "2a00:1450:4001::1",
    "::ffff:10.0.0.7",
]  # fmt: skip


@pytest.mark.parametrize("url", HOSTILE_URLS)
def test_no_url_of_two_meanings_is_taken(url: str) -> None:
    everything = Allowlist.parse(["ci.example", "0.0.0.0/0", "::/0"])
    with pytest.raises(AddressRefused):
        check_target(parse_url(url), everything)


# Hosts of one meaning that lead where nobody has allowed webhooks to: metadata services by name and by address, this
# machine, and addresses that are another in disguise.
ASTRAY_URLS = [
    "http://localhost/", "http://localhost.localdomain/", "http://ip6-localhost/", "http://169.254.169.254/latest/",
    "http://metadata.google.internal/", "http://metadata/", "http://instance-data/", "http://100.100.100.200/",
    "http://[fd00:ec2::254]/latest/", "http://168.63.129.16/", "http://192.0.0.192/", "http://127.0.0.1.nip.example/",
    "http://ci.example.evil.example/", "http://evil.example/ci.example", "http://evil.example?ci.example",
    "http://ci.example:6379/", "http://ci.example:22/", "http://ci.example:25/", "http://ci.example:65535/",
    "http://xn--c-qga.example/", "http://xn--ci-exmple-n4a/", "http://CI.EXAMPLE.:22/",
    *(f"http://[{address}]/" if ":" in address else f"http://{address}/" for address in BLOCKED_ADDRESSES),
]  # fmt: skip


@pytest.mark.parametrize("url", ASTRAY_URLS)
def test_nothing_but_what_is_listed_is_dialled(url: str) -> None:
    """Whatever a resolver says: it may well say an address that is listed."""
    listed = Allowlist.parse(["ci.example:8443"])
    with pytest.raises(AddressRefused):
        vet(parse_url(url), listed, lambda _h, _p: ["10.0.0.7"])


def test_enough_of_them() -> None:
    assert len(HOSTILE_URLS) >= 62
    assert len({*HOSTILE_URLS, *ASTRAY_URLS}) >= 120


@pytest.mark.parametrize("address", BLOCKED_ADDRESSES)
def test_a_name_does_not_lead_there(address: str) -> None:
    assert blocked(ipaddress.ip_address(address))
    named = Allowlist.parse(["ci.example"])
    with pytest.raises(AddressRefused):
        vet(parse_url("http://ci.example/"), named, lambda _h, _p: [address])


@pytest.mark.parametrize("address", OPEN_ADDRESSES)
def test_a_name_leads_to_private_addresses_too(address: str) -> None:
    assert not blocked(ipaddress.ip_address(address))
    named = Allowlist.parse(["ci.example"])
    assert vet(parse_url("http://ci.example/"), named, lambda _h, _p: [address]) == address


def test_one_bad_answer_among_good_ones_refuses_all() -> None:
    named = Allowlist.parse(["ci.example"])
    for answers in (
        ["10.0.0.7", "169.254.169.254"],
        ["169.254.169.254", "10.0.0.7"],
        ["10.0.0.7", "garbage"],
    ):
        with pytest.raises(AddressRefused):
            vet(parse_url("http://ci.example/"), named, lambda _h, _p, found=answers: found)  # type: ignore[misc]


def test_the_resolver_is_asked_once() -> None:
    """A resolver that answers well, then with the metadata service: the second answer is never asked for."""
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["10.0.0.7"] if len(asked) == 1 else ["169.254.169.254"]

    assert vet(parse_url("http://ci.example/"), Allowlist.parse(["ci.example"]), rebinding) == "10.0.0.7"
    assert asked == ["ci.example"]


def test_nothing_is_allowed_when_nothing_is_listed() -> None:
    with pytest.raises(AddressRefused, match="ASSAY_WEBHOOK_HOSTS is empty"):
        check_target(parse_url("https://ci.example/"), Allowlist.parse([]))


def test_the_allowlist_names_hosts_ports_addresses_and_networks() -> None:
    allowed = Allowlist.parse(
        ["ci.example:8443", "Other.Example", "127.0.0.1:9000", "[::1]:9000", "10.1.0.0/16"]
    )
    for url, address in {
        "https://ci.example:8443/": "10.9.9.9",
        "https://CI.example:8443/": "10.9.9.9",
        "https://other.example/": "10.9.9.9",
        "http://other.example:1234/": "10.9.9.9",
        "http://127.0.0.1:9000/": "127.0.0.1",
        "http://[::1]:9000/": "::1",
        "http://10.1.2.3/": "10.1.2.3",
        "http://anything.example/": "10.1.2.3",
    }.items():
        assert vet(parse_url(url), allowed, lambda _h, _p, found=address: [found]) == address, url  # type: ignore[misc]
    for url in (
        "https://ci.example/",
        "http://127.0.0.1:9001/",
        "http://127.0.0.2:9000/",
        "http://10.2.0.1/",
        "http://sub.other.example/",
    ):
        with pytest.raises(AddressRefused):
            vet(parse_url(url), allowed, lambda _h, _p: ["10.9.9.9"])


def test_a_listed_network_opens_even_loopback() -> None:
    allowed = Allowlist.parse(["127.0.0.0/8"])
    assert vet(parse_url("http://127.0.0.1:9/"), allowed) == "127.0.0.1"
    assert vet(parse_url("http://ci.example/"), allowed, lambda _h, _p: ["127.0.0.1"]) == "127.0.0.1"


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/40", "ci example", "http://ci.example", "ci.example:x", "[::1", "127.1"]
)
def test_an_entry_that_means_nothing_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="ASSAY_WEBHOOK_HOSTS"):
        Allowlist.parse([entry])
