"""The addresses of well-known public resolvers, which most DNS lists refuse to answer."""

from collections.abc import Mapping
from ipaddress import ip_address

_ADDRESSES = {
    "Google": "8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844",
    "Cloudflare": "1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3 2606:4700:4700::1111"
    " 2606:4700:4700::1001 2606:4700:4700::1112 2606:4700:4700::1002 2606:4700:4700::1113"
    " 2606:4700:4700::1003",
    "Quad9": "9.9.9.9 149.112.112.112 9.9.9.10 149.112.112.10 9.9.9.11 149.112.112.11 2620:fe::fe"
    " 2620:fe::9 2620:fe::10 2620:fe::fe:10 2620:fe::11 2620:fe::fe:11",
    "OpenDNS": "208.67.222.222 208.67.220.220 208.67.222.123 208.67.220.123 2620:119:35::35"
    " 2620:119:53::53",
    "UltraDNS": "64.6.64.6 64.6.65.6 156.154.70.1 156.154.71.1 2620:74:1b::1:1 2620:74:1c::2:2"
    " 2610:a1:1018::1 2610:a1:1019::1",
    "AdGuard": "94.140.14.14 94.140.15.15 2a10:50c0::ad1:ff 2a10:50c0::ad2:ff",
    "Level 3": "4.2.2.1 4.2.2.2 4.2.2.3 4.2.2.4 4.2.2.5 4.2.2.6",
    "Hurricane Electric": "74.82.42.42 2001:470:20::2",
    "Yandex": "77.88.8.8 77.88.8.1 2a02:6b8::feed:ff 2a02:6b8:0:1::feed:ff",
    "AliDNS": "223.5.5.5 223.6.6.6 2400:3200::1 2400:3200:baba::1",
    "DNSPod": "119.29.29.29",
    "114DNS": "114.114.114.114 114.114.115.115",
}

OPERATORS: Mapping[str, str] = {
    str(ip_address(one)): operator
    for operator, addresses in _ADDRESSES.items()
    for one in addresses.split()
}


def operator_of(address: str) -> str:
    """Return the operator of a public resolver by its IP address, "" for another address."""
    try:
        return OPERATORS.get(str(ip_address(address)), "")
    except ValueError:
        return ""
