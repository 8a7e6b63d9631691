"""Chains that are made here: what the suite has no cases for."""

import base64
from hashlib import sha256

import pytest
from tests.mailauth import reference
from tests.mailauth.checks import FAILED, NOW, arc, split
from tests.mailauth.dkim.test_rsa import numbers, record
from tests.mailauth.keys import private_key

from gatepost.mailauth.arc import MOST_SETS, read_chain, verify_chain
from gatepost.mailauth.dkim import BodyHashes, read_signatures

KEY = private_key("rsa")
MESSAGE = b"From: joe@example.com\r\nSubject: a\r\n\r\nHi.\r\n"
RECORDS = {"s1._domainkey.example.com": KEY.record}


def sealed(message, instance, key=KEY, chain=None, selector="s1", **tags):
    """Add one set in front; `tags` are those of the message signature."""
    tags = {"i": instance, "v": None, "s": selector} | tags
    message = reference.signed(message, key, "ARC-Message-Signature", **tags)
    results = f"ARC-Authentication-Results: i={instance}; mx.example; spf=pass\r\n".encode()
    message = results + message
    chain = chain or ("none" if instance == 1 else "pass")
    values = f"i={instance}; a={key.algorithm}; cv={chain}; d=example.com; s={selector}; t=1; b="
    own = f"ARC-Seal: {values}".encode()
    data = b"".join(one + b"\r\n" for one in sets(message)) + reference.field(own, "relaxed")
    signature = base64.b64encode(key.sign(sha256(data).digest()))
    return own + signature + b"\r\n" + message


def sets(message):
    """Return the canonical ARC fields in the order in which a seal signs them."""
    found = reversed(list(reference.fields(message.partition(b"\r\n\r\n")[0])))
    canonical = [reference.field(one, "relaxed") for one in found if one[:4] == b"ARC-"]
    order = {b"arc-authentication-results": 0, b"arc-message-signature": 1, b"arc-seal": 2}
    groups = [canonical[at : at + 3] for at in range(0, len(canonical), 3)]
    return [
        one
        for group in groups
        for one in sorted(group, key=lambda field: order[field.partition(b":")[0]])
    ]


def chained(count, message=MESSAGE):
    for instance in range(1, count + 1):
        message = sealed(message, instance)
    return message


@pytest.mark.parametrize("count", [1, 2, 3, MOST_SETS])
def test_a_chain_passes(count):
    found = arc(chained(count), RECORDS)
    assert (found.result, found.oldest_pass, len(found.sets)) == ("pass", 0, count), found.reason
    assert [one.instance for one in found.sets] == list(range(1, count + 1))


def test_ed25519_passes():
    key = private_key("ed25519")
    message = sealed(MESSAGE, 1, key, selector="e1")
    assert arc(message, {"e1._domainkey.example.com": key.record}).result == "pass"


def test_what_an_intermediary_stated_is_in_its_set():
    (found,) = arc(chained(1), RECORDS).sets
    assert (found.instance, found.chain, found.domain, found.selector) == (
        1,
        "none",
        "example.com",
        "s1",
    )
    assert (found.message_domain, found.message_selector) == ("example.com", "s1")
    assert found.results == "mx.example; spf=pass"


def test_the_oldest_pass_is_behind_the_last_change():
    message = chained(2).replace(b"Hi.", b"Hi. -- the list")
    found = arc(sealed(sealed(message, 3), 4), RECORDS)
    assert (found.result, found.oldest_pass) == ("pass", 3)


def test_an_older_message_signature_that_is_malformed_is_no_pass():
    message = sealed(MESSAGE, 1, bh="!!")
    found = arc(sealed(message, 2), RECORDS)
    assert (found.result, found.oldest_pass) == ("pass", 2)


def test_a_changed_message_fails():
    found = arc(chained(2).replace(b"Hi.", b"Ho."), RECORDS)
    assert (found.result, found.temporary) == ("fail", False)
    assert found.reason == (
        "the message signature of set 2: the body does not match its hash (bh=)"
    )


def test_changed_results_fail():
    found = arc(
        chained(2).replace(b"i=1; mx.example; spf=pass", b"i=1; mx.example; spf=fail"), RECORDS
    )
    assert found.result == "fail"
    assert found.reason == "the seal of set 2: the sets do not match the signature"


def test_a_key_that_cannot_be_looked_up_is_temporary():
    found = arc(chained(2), {"s1._domainkey.example.com": FAILED})
    assert (found.result, found.temporary) == ("fail", True)


def test_a_partial_body_is_refused():
    found = arc(sealed(MESSAGE, 1, l=5), RECORDS)
    assert (found.result, "l= is not accepted" in found.reason) == ("fail", True)


def test_a_seal_with_a_list_of_fields_is_refused():
    message = chained(1).replace(b"cv=none;", b"cv=none; h=from;", 1)
    assert arc(message, RECORDS).reason == "ARC-Seal: the tag h= is not permitted"


def test_a_long_key_costs_too_much_for_a_chain():
    found = arc(chained(1), {"s1._domainkey.example.com": record(numbers(4104))})
    assert found.reason.endswith("the RSA key has 4104 bits, not 4096")


def test_an_expired_message_signature_fails():
    assert "expired" in arc(sealed(MESSAGE, 1, x=NOW - 1000), RECORDS).reason


def test_a_chain_that_had_failed_fails():
    found = arc(sealed(chained(1), 2, chain="fail"), RECORDS)
    assert "cv=fail" in found.reason


def test_more_sets_than_the_limit_fail_without_a_question():
    message = b"ARC-Seal: i=1\r\n" * (MOST_SETS + 1) + MESSAGE
    assert arc(message, {}).reason == "there are more than 50 ARC-Seal fields"


def test_all_keys_are_asked_for_at_the_same_time():
    message = sealed(chained(1), 2, selector="s2")
    chain = read_chain(message)
    questions = next(verify_chain(chain, BodyHashes(chain.signatures), NOW))
    assert sorted(one.name for one in questions) == [
        "s1._domainkey.example.com",
        "s2._domainkey.example.com",
    ]


def test_dkim_and_arc_share_the_hashes_of_a_body():
    message = reference.signed(chained(1), KEY)
    head, body = split(message)
    signatures, chain = read_signatures(head), read_chain(head)
    hashes = BodyHashes([*signatures, *chain.signatures])
    hashes.update(body)
    assert len(hashes._streams) == 1
    assert hashes.get("relaxed").digest == signatures[0].body_hash


def test_without_arc_fields_the_result_is_none():
    assert arc(MESSAGE, {}).result == "none"
