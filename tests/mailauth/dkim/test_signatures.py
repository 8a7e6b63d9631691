"""Which signatures are verified, and in which order."""

from tests.mailauth.checks import answered, dkim
from tests.mailauth.dkim.test_verify import KEY, MESSAGE
from tests.mailauth.reference import signed

from gatepost.mailauth.dkim import MOST_VERIFIED, BodyHashes, read_signatures, verify
from gatepost.mailauth.dkim.signatures import MOST_READ

DOMAINS = [f"d{number}.example.net" for number in range(7)]


def message(*domains):
    octets = MESSAGE
    for domain in reversed(domains):
        octets = signed(octets, KEY, d=domain)
    return octets


def head(octets):
    return octets.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"


def order(octets, prefer=()):
    return [one.domain for one in read_signatures(head(octets), prefer)]


def test_signatures_are_read_from_top_to_bottom():
    assert order(message(*DOMAINS)) == DOMAINS


def test_preferred_domains_come_first_then_related_ones():
    domains = ["x.example", "sub.example.com", "other.example", "example.com", "com.example"]
    expected = ["example.com", "sub.example.com", "x.example", "other.example", "com.example"]
    assert order(message(*domains), {"example.com"}) == expected


def test_a_parent_of_a_preferred_domain_is_related():
    assert order(message("x.example", "example.com"), {"a.example.com"})[0] == "example.com"


def test_more_signatures_than_the_limit_have_a_result_and_are_not_looked_up():
    octets = message(*DOMAINS)
    records = {f"s1._domainkey.{domain}": KEY.record for domain in DOMAINS}
    results = dkim(octets, records)
    words = [one.result for one in results]
    assert words == ["pass"] * MOST_VERIFIED + ["policy"] * 2
    assert results[-1].reason == "not verified: there are more than 5 signatures"
    assert results[-1].domain == DOMAINS[-1]


def test_a_preferred_signature_below_many_others_is_verified():
    records = {f"s1._domainkey.{DOMAINS[6]}": KEY.record}
    first = dkim(message(*DOMAINS), records, prefer={DOMAINS[6]})[0]
    assert (first.domain, first.result) == (DOMAINS[6], "pass")


def test_signatures_with_a_fault_are_last_and_do_not_count():
    junk = b"DKIM-Signature: v=1; junk\r\n" * 6
    results = dkim(junk + signed(MESSAGE, KEY), {"s1._domainkey.example.com": KEY.record})
    assert [one.result for one in results] == ["pass"] + ["neutral"] * 6


def test_no_more_than_the_limit_are_read():
    assert len(read_signatures(b"DKIM-Signature: x\r\n" * 1000)) == MOST_READ


def test_a_key_is_asked_for_once_and_all_at_the_same_time():
    octets = message("a.example", "b.example", "a.example")
    signatures = read_signatures(head(octets))
    hashes = BodyHashes(signatures)
    check = verify(head(octets), signatures, hashes, 0)
    questions = next(check)
    expected = ["TXT s1._domainkey.a.example", "TXT s1._domainkey.b.example"]
    assert [str(one) for one in questions] == expected
    assert answered(verify(head(octets), signatures, hashes, 0), {})[0].reason


def test_a_body_hash_is_computed_only_for_signatures_that_need_it():
    octets = signed(signed(MESSAGE, KEY, a="rsa-sha1"), KEY, c="simple/relaxed")
    hashes = BodyHashes(read_signatures(head(octets)))
    assert list(hashes._streams) == ["relaxed"]
    assert not BodyHashes()._streams
