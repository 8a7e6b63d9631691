"""Random zones with SPF records, most of them valid, for a comparison with another implementation.

A zone has domains d0 to d5 with records that refer to each other, hosts h0 to h5, and names of
addresses. `case(random)` returns the zone in the form of the RFC 7208 suite, and the arguments.
"""

DOMAINS = [f"d{number}.example.com" for number in range(6)]
HOSTS = [f"h{number}.example.com" for number in range(6)]
ADDRESSES = ["192.0.2.1", "192.0.2.77", "198.51.100.5", "2001:db8::1", "2001:db8:1::7"]
LOCALS = ["user", "a.b", "x-y-z", "", "per%cent", "very.long." + "part." * 8 + "end"]
HELOS = ["mail.example.com", "h1.example.com", "single", "[192.0.2.1]", "x y.example"]
VALID_TARGETS = [
    *DOMAINS,
    *HOSTS,
    "h1.Example.COM.",
    "absent.example.com",
    "empty.example.com",
    "slow.example.com",
    "foo:bar/baz.example.com",
    "dots..example.com",
    f"{'l' * 64}.example.com",
    "xn--zckzah.example.xn--zckzah",
    *("%{d}", "%{o}", "%{h}", "h%{d1r}.x.example.com", "%{d2}", "%{l}.x.example.com"),
    *(
        "%{ir}.%{v}.x.example.com",
        "%{i}.x.example.com",
        "%{p}.x.example.com",
        "%{p2}.x.example.com",
    ),
    *("%{l1r-}.x.example.com", "%{lr+-}.x.example.com", "%{s}.x.example.com", "%{S}.x.example.com"),
    *("a%%b%_c%-d.example.com", "%{l2.}.x.example.com", "%{d99}", "%{o1r.}.example.com"),
]
WRONG_TARGETS = [
    *("", ".", "museum", "museum.", "192.0.2.1", "abc.123", "example.-com", "example.com-"),
    *("%", "%x.example.com", "%{x}.example.com", "%{d0}.example.com", "%{d", "%{c}.example.com"),
    *("example.com:8080", "%{dx}", "%(d).example.com", "ex ample.com", "exämple.com", "a_b"),
]
BITS = ["", "", "", "/24", "/0", "/32", "//64", "//0", "/16//48"]
WRONG_BITS = ["/33", "//129", "/024", "/", "//", "/24/64", "/-1", "/24//64/1", "/x"]
NETWORKS = ["192.0.2.0/24", "192.0.2.1", "198.51.100.0/25", "0.0.0.0/0", "10.0.0.1/32"]
WRONG_NETWORKS = ["192.0.2", "192.0.2.0/33", "192.0.2.256", "1.2.3.4:25", "192.00.2.1", "", "x"]
NETWORKS6 = ["2001:db8::/32", "2001:db8::1", "::/0", "::ffff:192.0.2.1", "2001:db8:1::/48"]
WRONG_NETWORKS6 = [":::", "2001:db8::/129", "::1%eth0", "1:2:3:4:5:6:7:8:9", "", "2001:db8::1//64"]
WRONG_TERMS = [
    *("all:x", "-all.", "foo", "foo:bar", "=all", "1up=x", "include", "exists", "exists/24", "-"),
    *("a=b", "ptr/24", "ip4", "ip6", "++all", "-exp=x.example.com", "a:", "v=spf1", "mx,", "\tall"),
    *("op=%{c}", "x=%", "default=-", "exp=", "redirect=", "ip:192.0.2.1", "all/8"),
]
EXPLANATIONS = [
    "Not from %{i}.",
    "%{c} %{r} %{t}",
    "two  blanks",
    "%",
    "ünicode",
    "%{h} %{l1r-} %{p}",
]


def case(dice):
    """Return a zone and the arguments of a check: IP address, sender, HELO."""
    zone = {name: _domain(dice) for name in DOMAINS}
    zone.update({name: _host(dice) for name in HOSTS})
    zone["slow.example.com"] = ["TIMEOUT"]
    zone["empty.example.com"] = [{"NS": "ns.example.com"}]
    zone["foo:bar/baz.example.com"] = [{"A": "192.0.2.77"}]
    zone["text.example.com"] = [{"TXT": dice.choice(EXPLANATIONS)}]
    zone.update({address: _names(dice) for address in ADDRESSES})
    for name in ("user", "b.a", "x.y.z", "1.2.0.192.in-addr", "192.0.2.77", "h1.example.com"):
        zone[f"{name}.x.example.com"] = [{"A": dice.choice(["127.0.0.2", "192.0.2.1"])}]
    sender = f"{dice.choice(LOCALS)}@{dice.choice([*DOMAINS, DOMAINS[0]])}"
    return zone, (dice.choice(ADDRESSES), sender, dice.choice(HELOS))


def record(dice):
    """Return a record; one of six is wrong."""
    wrong = dice.random() < 1 / 6
    terms = [_term(dice) for _ in range(dice.choice([0, 1, 2, 3, 4, 5, 12]))]
    if dice.random() < 0.3:
        terms.append(f"redirect={dice.choice(VALID_TARGETS[:14])}")
    if dice.random() < 0.2:
        terms.append(dice.choice(["exp=text.example.com", "exp=absent.example.com"]))
    if dice.random() < 0.5:
        terms.append(dice.choice(["-all", "~all", "?all", "all"]))
    if wrong:
        terms.insert(dice.randint(0, len(terms)), _wrong_term(dice))
    return dice.choice(["v=spf1 ", "V=SPF1 ", "v=spf1  "]) + dice.choice([" ", "  "]).join(terms)


def _domain(dice):
    items = [{"TXT": record(dice)} for _ in range(dice.choice([0, *[1] * 18, 2]))]
    items += [
        {"MX": [dice.randint(0, 20), _mx(dice)]} for _ in range(dice.choice([0, 1, 2, 3, 11]))
    ]
    return [*items, *_host(dice)]


def _mx(dice):
    return dice.choice([*HOSTS, *HOSTS, "absent.example.com", "slow.example.com", ""])


def _host(dice):
    items = []
    for address in ADDRESSES:
        if dice.random() < 0.3:
            items.append({"AAAA" if ":" in address else "A": address})
    return items or [{"NS": "ns.example.com"}]


def _names(dice):
    names = [*HOSTS, *DOMAINS, "absent.example.com"]
    return [{"PTR": dice.choice(names)} for _ in range(dice.choice([0, 1, 2, 12]))]


def _term(dice):
    qualifier = dice.choice(["", "", "+", "-", "~", "?"])
    target = dice.choice(VALID_TARGETS)
    return qualifier + dice.choice(
        [
            *(f"a:{target}{dice.choice(BITS)}", f"a{dice.choice(BITS)}"),
            *(f"mx:{target}{dice.choice(BITS)}", f"MX{dice.choice(BITS)}"),
            *(f"include:{dice.choice(DOMAINS)}", f"include:{target}", f"exists:{target}"),
            *("ptr", f"ptr:{target}", "ptr:example.com"),
            *(f"ip4:{dice.choice(NETWORKS)}", f"ip6:{dice.choice(NETWORKS6)}"),
        ]
    )


def _wrong_term(dice):
    target, bits = dice.choice(WRONG_TARGETS), dice.choice(WRONG_BITS)
    return dice.choice(
        [
            *(f"a:{target}", f"mx:{target}", f"include:{target}", f"exists:{target}"),
            *(f"ptr:{target}", f"redirect={target}", f"exp={target}", f"x={target}"),
            *(f"a{bits}", f"mx:h1.example.com{bits}", f"a:%{{d}}{bits}"),
            *(f"ip4:{dice.choice(WRONG_NETWORKS)}", f"ip6:{dice.choice(WRONG_NETWORKS6)}"),
            *(dice.choice(WRONG_TERMS), dice.choice(WRONG_TERMS)),
        ]
    )
