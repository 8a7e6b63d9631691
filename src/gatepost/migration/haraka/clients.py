"""Checks of the client, and the clients that may relay."""

import re
from collections.abc import Mapping

from gatepost.migration.draft import Table
from gatepost.migration.haraka.ini import MAIN, Ini, read_ini
from gatepost.migration.haraka.settings import listen_from
from gatepost.migration.job import Job, Used
from gatepost.migration.networks import parse_network
from gatepost.migration.services import next_hop
from gatepost.migration.toml import Value

_LONGEST_WAIT = 15
_NEXT_HOP = re.compile(r'"nexthop"\s*:\s*"(\[[0-9a-fA-F:.]+\]|[^":\s]+)(?::([0-9]+))?"')
_ACTION = re.compile(r'"action"\s*:\s*"(\w+)"')
_RELAY = "relay.md#foreign-domains"


def reactions(ini: Ini, rules: Mapping[str, str]) -> dict[str, Value]:
    """Return the reaction of each rule that the section `reject` switches on."""
    return {ours: "deny" for theirs, ours in rules.items() if ini.true("reject", theirs)}


def take_relay(job: Job, used: Used) -> None:
    """Take the networks that may relay, and next hops of single domains."""
    ini = read_ini(job.source, "relay.ini")
    is_new = used.name.removeprefix("haraka-plugin-") == "relay"
    if ini.true("relay", "acl", default=True) and used.name != "relay_force_routing":
        networks = job.relay_networks("relay_acl_allow")
        job.relay_for += [str(one) for one in networks]
        text = f"{used.name}: networks that may relay: {len(networks)}"
        job.findings.taken(used.place, text, _RELAY)
    if is_new and ini.true("relay", "all"):
        text = "relay.all: an open relay is not taken over"
        job.findings.left(ini.place, text, _RELAY)
    _take_next_hops(job)


def _take_next_hops(job: Job) -> None:
    ini = read_ini(job.source, "relay_dest_domains.ini")
    for domain in ini.keys("domains"):
        value = ini.get(domain, section="domains")
        hop, action = _NEXT_HOP.search(value), _ACTION.search(value)
        if action is not None and action[1] == "accept":
            job.draft.append("recipients.domains", domain)
            job.findings.taken(ini.place, f"domain {domain}", "configuration.md#recipients")
        target = next_hop("smtp", hop[1], hop[2] or "25") if hop else None
        if target is not None:
            job.draft.routes.insert(0, Table({"for": [domain], "to": target}, ini.place))
            job.findings.taken(ini.place, f"route of {domain} to {target}", "relay.md")
        elif '"nexthop"' in value:
            job.findings.left(ini.place, f"{domain}: expected a host and a port", "relay.md")


def take_dns_lists(job: Job, used: Used) -> None:
    """Take the block lists and the allow lists; those of the type karma are left out."""
    ini = read_ini(job.source, "dns-list.ini", "dnsbl.ini")
    zones = [*ini.all(MAIN, "zones"), *(line.text for line in job.source.values("dnsbl.zones"))]
    allow = [line.text for line in job.source.values("dnswl.zones")]
    block: dict[str, Value] = {}
    for zone in dict.fromkeys(one.lower() for one in zones):
        kind = ini.get("type", "block", zone)
        if kind == "allow":
            allow.append(zone)
        elif kind == "karma":
            job.findings.left(ini.place, f"{zone}: a list of the type karma", "shipped/dnsbl.md")
        else:
            block[zone] = "deny" if ini.true(zone, "reject", default=True) else 2
    if block:
        job.check("dnsbl", used, {"zones": block})
    if allow:
        job.check("dnswl", used, {"zones": list(dict.fromkeys(allow))})
    if not block and not allow:
        text = f"{used.name}: no list is named in {ini.place}; the default of Haraka is not read"
        job.findings.left(used.place, text, "shipped/dnsbl.md")


def take_early_talker(job: Job, used: Used) -> None:
    """Take the wait before the greeting."""
    ini = read_ini(job.source, "early_talker.ini")
    seconds = min(ini.number("pause") or 5, _LONGEST_WAIT)
    mode = {} if ini.true(MAIN, "reject", default=True) else {"action": "log"}
    job.check("early_talker", used, {"wait": f"{seconds}s"}, **mode)


def take_fcrdns(job: Job, used: Used) -> None:
    """Take the rules about the name of the client."""
    rules = {"no_rdns": "missing", "no_fcrdns": "unconfirmed", "generic_rdns": "generic"}
    job.check("iprev", used, reactions(read_ini(job.source, "fcrdns.ini"), rules))


def take_helo(job: Job, used: Used) -> None:
    """Take the rules about the name in HELO."""
    rules = {
        "bare_ip": "invalid",
        "literal_mismatch": "literal",
        "valid_hostname": "bare",
        "forward_dns": "unresolved",
        "host_mismatch": "changed",
    }
    ini = read_ini(job.source, "helo.checks.ini")
    job.check("helo", used, reactions(ini, rules))
    for rule in ("rdns_match", "dynamic", "big_company", "proto_mismatch"):
        if ini.true("reject", rule):
            text = f"reject.{rule}: no equivalent"
            job.findings.left(ini.place, text, "shipped/helo.md")
    if job.source.value("helo.checks.regexps"):
        text = 'refused names; use rules with where = "helo"'
        job.findings.left(job.source.place("helo.checks.regexps"), text, "shipped/regex.md")


def take_greylist(job: Job, used: Used) -> None:
    """Take the times of greylisting, and what is exempt."""
    ini = read_ini(job.source, "greylist.ini")
    black = ini.number("black", "period") or 850
    grey = ini.number("grey", "period") or 90_000
    white = ini.number("white", "period") or 3_024_000
    options: dict[str, Value] = {
        "delay": f"{black}s",
        "window": f"{black + grey}s",
        "keep": f"{white}s",
    }
    exempt = list(_networks(job, ini, "ip_whitelist"))
    if exempt:
        options["exempt_clients"] = exempt
    job.check("greylist", used, options)
    for section in ("envelope_whitelist", "recipient_whitelist"):
        if any(ini.keys(section)):
            text = f"{section}: see exempt_spf, exempt_senders and exempt_recipients"
            job.findings.left(ini.place, text, "shipped/greylist.md")
    text = f"{used.name}: the network and the domain of the sender count; Redis is not read"
    job.findings.different(used.place, text, "shipped/greylist.md")


def _networks(job: Job, ini: Ini, section: str) -> list[str]:
    found = []
    for text in ini.keys(section):
        try:
            found.append(str(parse_network(text)))
        except ValueError as error:
            job.findings.left(ini.place, f"{section}: {error}", "shipped/greylist.md")
    return found


def take_xclient(job: Job, used: Used) -> None:
    """Take the hosts that may send XCLIENT."""
    hosts = [line.text for line in job.source.values("xclient.hosts")]
    listen_from(job, "xclient_from", hosts, used.place)
