"""The load with a full policy: its messages, its zones, and what it reads of each server."""

import asyncio
import contextlib
import time
from collections import Counter

import pytest
from bench.policy import client, dkim, gatepost, haraka, measure, rspamd, senders
from bench.policy.__main__ import parser
from bench.policy.client import Traffic
from bench.policy.measure import Cost, Plan
from bench.policy.server import Need, Server
from bench.policy.tables import cost_table, missed, proof_table
from bench.process import BenchError
from tools import peers, unbound

from gatepost.mailauth.dkim import BodyHashes, read_signatures, verify
from gatepost.mailauth.spf import check_host
from gatepost.mailauth.zone import Zone, ask_zone

SPF = Zone(
    {
        "sender3.example": [{"TXT": "v=spf1 include:_spf.hosting.example -all"}],
        "_spf.hosting.example": [{"TXT": "v=spf1 ip4:198.18.0.0/16 -all"}],
    }
)


def verified(message, number):
    """Return the results of the signatures of a message."""
    block, _, body = message.partition(b"\r\n\r\n")
    signatures = read_signatures(block + b"\r\n")
    hashes = BodyHashes(signatures)
    hashes.update(body)
    zone = Zone({f"s1._domainkey.sender{number}.example": [{"TXT": senders.key_record(number)}]})
    results = ask_zone(verify(block + b"\r\n", signatures, hashes, time.time()), zone)
    return [(one.result, one.domain, one.bits) for one in results]


@pytest.mark.parametrize("size", senders.SIZES.values())
def test_messages_are_signed_and_have_about_the_size(size):
    message = senders.message(3, size)
    assert verified(message, 3) == [("pass", "sender3.example", 2048)]
    assert size * 0.95 < len(message) < size * 1.05


@pytest.mark.parametrize("size", senders.SIZES.values())
def test_no_line_of_a_message_needs_a_dot_or_is_too_long(size):
    lines = senders.message(0, size).split(b"\r\n")
    assert not any(line.startswith(b".") for line in lines)
    assert max(map(len, lines)) < 998


def test_the_clients_may_send_mail_of_their_domain():
    sender = next(one for one in senders.SENDERS if one.number == 3)
    check = check_host(sender.ip, sender.domain, sender.address, sender.helo)
    assert ask_zone(check, SPF).result == "pass"


def test_only_one_client_is_in_the_lists_and_it_is_not_in_the_load():
    zones = senders.zones()
    listed = ".".join(reversed(senders.LISTED.ip.split(".")))
    for name in senders.LISTS:
        assert zones[name].splitlines()[-2:] == [
            "2.0.0.127 A 127.0.0.2",
            f"{listed} A 127.0.0.2",
        ]
    assert senders.LISTED not in senders.SENDERS


def test_the_strings_of_a_txt_record_have_at_most_255_characters():
    strings = [
        part for line in senders.zones()["example"].splitlines() for part in line.split('"')[1::2]
    ]
    assert max(map(len, strings)) == senders.STRING


METRICS = """\
# TYPE gatepost_plugin_spf_results_total counter
gatepost_plugin_spf_results_total{result="pass"} 12.0
gatepost_plugin_spf_results_total{result="fail"} 99.0
gatepost_plugin_dkim_messages_total{outcome="aligned"} 11.0
gatepost_plugin_dmarc_messages_total{policy="reject",result="pass"} 1e+06
gatepost_plugin_dnsbl_hits_total{list="list1.example"} 1.0
gatepost_plugin_dnsbl_hits_total{list="list2.example"} 1.0
"""
HARAKA = """\
2026-11-30T04:12:33.194Z loglevel: NOTICE
bench: {"auth":["spf=none smtp.helo=a","spf=pass smtp.mailfrom=b"],"lists":["list1.example"]}
bench: {"auth":["dkim=pass header.i=@b"],"lists":\
["list4.example","list3.example","list2.example","list1.example"]}
bench: {"auth":[]}
"""
RSPAMD = """\
task; (default: F (no action): [-0.90/15.00] [DMARC_POLICY_ALLOW(-0.50){},R_DKIM_ALLOW(-0.20){}])
task; (default: T (reject): [24.00/15.00] [LIST1(6.00){},LIST4(6.00){},R_SPF_ALLOW(-0.20){}])
"""


def test_what_the_checks_of_each_server_have_found_is_read():
    expected = {"spf": 12, "dkim": 11, "dmarc": 1_000_000, "dnsbl": 2}
    assert gatepost.passed(METRICS) == expected
    assert haraka.passed(HARAKA) == {"spf": 1, "dkim": 1, "dnsbl": 1}
    assert rspamd.passed(RSPAMD) == {"spf": 1, "dkim": 1, "dmarc": 1, "dnsbl": 2}


def test_a_check_that_has_found_nothing_is_a_problem():
    found = {"haraka": {"spf": 40, "dkim": 0}, "no-policy": {}}
    assert missed(found) == ["haraka: dkim has found nothing"]
    assert proof_table(found).rows == [("haraka", "40", "0", "no check", "no check")]


def test_the_cheapest_round_counts():
    costs = {
        "new": {
            "gatepost": [Cost({"gatepost": 3.0}, 0.5), Cost({"gatepost": 2.0}, 0.25)],
            "haraka": [Cost({"haraka": 6.0, "redis": 2.0}, 0.0)],
        }
    }
    assert cost_table(costs).rows == [
        ("new", "gatepost", "2.00", "2.00 - 3.00", "1.00", "gatepost 2.00", "0.25"),
        ("new", "haraka", "8.00", "8.00 - 8.00", "4.00", "haraka 6.00, redis 2.00", "0.00"),
    ]


def test_there_is_no_ratio_without_the_reference():
    assert cost_table({"new": {"haraka": [Cost({"haraka": 6.0}, 0.0)]}}).rows[0][4] == ""


def test_all_servers_are_measured_unless_some_are_chosen():
    assert parser().parse_args([]).only == list(measure.SERVERS)
    assert parser().parse_args(["--only", "haraka,gatepost"]).only == ["haraka", "gatepost"]


def test_a_message_that_is_not_accepted_fails_the_round(monkeypatch):
    monkeypatch.setattr(client, "send", lambda *_: Counter({b"2": 9, b"4": 1}))
    monkeypatch.setattr(measure, "_used", lambda *_: {"dns": 0.0})
    with pytest.raises(BenchError, match="found the replies"):
        measure.one_round(Server("x", 1, {}, dict), Traffic(4096, 10), [])


def test_a_server_that_always_defers_is_an_error(monkeypatch):
    monkeypatch.setattr(client, "send", lambda *_: Counter({b"4": 1}))
    with pytest.raises(BenchError, match="deferred after 3 rounds"):
        client.make_known(1, 0, range(3))


def test_a_signature_that_fails_is_an_error():
    message = senders.message(0, senders.SIZES["4 KB"]).replace(b"invoice", b"voucher")
    with pytest.raises(BenchError, match="body does not match"):
        dkim.verified(
            message, Zone({"s1._domainkey.sender0.example": [{"TXT": senders.key_record(0)}]})
        )


def test_turns_are_measured_while_messages_arrive(monkeypatch):
    monkeypatch.setattr(dkim, "TURNS", Traffic(senders.SIZES["4 KB"], 2))
    with asyncio.Runner(loop_factory=dkim.Timed) as runner:
        assert runner.run(dkim.longest_turn(["dkim"])) > 0


def test_the_configuration_of_rspamd_has_the_lists_and_the_resolver(tmp_path):
    text = rspamd.config(Need(tmp_path, 5353), 1, 2)
    assert all(f'rbl = "{name}"' in text for name in senders.LISTS)
    assert 'nameserver = ["127.0.0.1:5353:1"]' in text


@pytest.mark.slow
def test_gatepost_makes_all_checks_of_real_messages():
    for why in (*peers.missing(["nsd"]).values(), unbound.why_not()):
        if why:
            pytest.skip(why)
    plan = Plan(["gatepost-pure"], {"new": Traffic(4096, 2)}, 1, lambda _: contextlib.nullcontext())
    costs, found = measure.measure(plan)
    assert missed(found) == []
    assert [len(rounds) for rounds in costs["new"].values()] == [1]
