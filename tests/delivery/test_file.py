"""The target `file:`: a message and its envelope."""

import json
import os
import re
from pathlib import Path

import pytest
from tests.delivery.contract import Contract
from tests.delivery.programs import deliver
from tests.delivery.samples import delivery, message, recipient

from gatepost.config.schema import RouteConfig
from gatepost.delivery.content import NOT_STORED
from gatepost.delivery.registry import make_target
from gatepost.delivery.target import DeliveryError
from gatepost.model.address import Address
from gatepost.model.endpoint import Endpoint
from gatepost.model.facts import set_fact
from gatepost.model.session import AuthFacts, TlsFacts, TrapHit


def target(base, template="mail/{domain}/{local}"):
    return make_target(RouteConfig(to=f"file:{template}"), base=base, hostname="mx.example.com")


def pairs(base):
    """Return the folder below `base`, the content and the envelope of each pair."""
    files = sorted(path for path in base.rglob("*") if path.is_file())
    found = []
    for content, envelope in zip(files[::2], files[1::2], strict=True):
        assert (content.suffix, envelope.suffix) == (".eml", ".json")
        assert content.stem == envelope.stem
        folder = content.parent.relative_to(base).as_posix()
        found.append((folder, content.read_bytes(), json.loads(envelope.read_bytes())))
    return found


class TestContract(Contract):
    def target(self, base):
        return target(base)

    def kept(self, base):
        return [content for _, content, _ in pairs(base)]


class TestOneFolder(Contract):
    one_copy = True

    def target(self, base):
        return target(base, "mail")

    def kept(self, base):
        return [content for _, content, _ in pairs(base)]


def test_the_envelope_is_one_line_of_json(tmp_path):
    person = recipient("Ann+x@example.com", "ann")
    person.params["NOTIFY"] = "NEVER"
    what = delivery(person)
    tx = what.transaction
    set_fact(tx, "params", {"SIZE": "120"})
    set_fact(tx, "received", 1_704_096_000.25)
    set_fact(tx.session, "helo", 'a"b\\c')
    set_fact(tx.session, "via", Endpoint("192.0.2.8", 2))
    set_fact(tx.session, "tls", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", sni="mx.example.com"))
    set_fact(tx.session, "auth", AuthFacts("ann", "PLAIN"))
    hit = Address.parse("trap@example.com")
    set_fact(tx, "trap_hits", [TrapHit(hit, "@example.com", "a \u2028 note", "traps", 3)])
    deliver(target(tmp_path, "all"), what)
    ((folder, content, envelope),) = pairs(tmp_path)
    assert (folder, content) == ("all", b"Subject: x\r\n\r\nHello\r\n")
    assert envelope == {
        "id": "t1",
        "received": "2024-01-01T08:00:00.250000+00:00",
        "reverse_path": "sender@example.net",
        "params": {"SIZE": "120"},
        "recipients": [
            {"address": "Ann+x@example.com", "params": {"NOTIFY": "NEVER"}, "user": "ann"}
        ],
        "trap_hits": [
            {
                "address": "trap@example.com",
                "entry": "@example.com",
                "note": "a \u2028 note",
                "source": "traps",
                "line": 3,
                "trap_class": "pristine",
                "guessable": False,
                "treatment": "",
                "shadow": False,
                "registered": False,
                "exempt": [],
                "unproven": False,
                "is_evidence": True,
            }
        ],
        "peer": {"host": "192.0.2.1", "port": 40000},
        "via": {"host": "192.0.2.8", "port": 2},
        "helo": 'a"b\\c',
        "protocol": "smtp",
        "tls": {
            "version": "TLSv1.3",
            "cipher": "TLS_AES_256_GCM_SHA384",
            "sni": "mx.example.com",
            "peer_subject": "",
            "peer_fingerprint": "",
        },
        "auth": {"user": "ann", "mechanism": "PLAIN"},
    }


def test_recipients_of_one_folder_share_a_pair(tmp_path):
    people = [recipient(f"{name}@{name[0]}.example") for name in ("a1", "b1", "a2")]
    deliver(target(tmp_path, "{domain}"), delivery(*people))
    named = [
        (folder, [one["address"] for one in envelope["recipients"]])
        for folder, _, envelope in pairs(tmp_path)
    ]
    assert named == [
        ("a.example", ["a1@a.example", "a2@a.example"]),
        ("b.example", ["b1@b.example"]),
    ]


def test_the_names_and_their_modes(tmp_path):
    deliver(target(tmp_path, "all"), delivery(recipient("a@example.com")))
    files = sorted((tmp_path / "all").iterdir())
    assert all(re.fullmatch(r"\d+\.M\w+\.mx\.example\.com\.(eml|json)", one.name) for one in files)
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    assert (tmp_path / "all").stat().st_mode & 0o777 == 0o700


def test_the_json_is_moved_last(tmp_path, monkeypatch):
    events = []

    def note(name, path_of):
        real = getattr(os, name)

        def call(first, *args):
            events.append((name, path_of(first).rpartition(".")[2]))
            return real(first, *args)

        monkeypatch.setattr(os, name, call)

    (tmp_path / "all.d").mkdir()
    kept = target(tmp_path, "all.d")
    deliver(kept, delivery(recipient("a@example.com")))
    note("rename", str)
    note("fsync", lambda descriptor: str(Path(f"/proc/self/fd/{descriptor}").readlink()))
    deliver(kept, delivery(recipient("a@example.com")))
    assert events == [
        ("fsync", "eml"),
        ("fsync", "json"),
        ("fsync", "d"),
        ("rename", "json"),
        ("fsync", "d"),
    ]


def outcome(to, what):
    try:
        deliver(to, what)
    except DeliveryError as error:
        return error
    return None


@pytest.mark.parametrize("name", ["rename", "fsync", "mkdir"])
def test_any_failed_call_leaves_nothing(tmp_path, monkeypatch, name):
    people = recipient("a@a.example"), recipient("b@b.example")
    real = getattr(os, name)
    for nth in range(1, 100):
        base = tmp_path / str(nth)
        base.mkdir()
        calls = iter(range(1, nth))

        def call(*args, calls=calls):
            if next(calls, None) is None:
                raise OSError(28, "No space left on device")
            return real(*args)

        with monkeypatch.context() as patch:
            patch.setattr(os, name, call)
            error = outcome(target(base), delivery(*people))
        if error is None:
            break
        assert (error.text, error.permanent) == (NOT_STORED, False)
        assert error.detail.startswith("file: [Errno 28] No space left on device")
        assert pairs(base) == []
    assert len(pairs(base)) == 2
    assert nth > 2


def test_an_envelope_with_surrogates_is_deferred(tmp_path):
    what = delivery(recipient("a@example.com"), sender=Address("\ud800", "example.net"))
    with pytest.raises(DeliveryError, match="expected an envelope in Unicode"):
        deliver(target(tmp_path), what)
    assert pairs(tmp_path) == []


def test_a_large_message_is_kept(tmp_path):
    with message(b"x" * 300_000, 1000) as made:
        deliver(target(tmp_path, "all"), delivery(recipient("a@example.com"), of=made))
    assert [len(content) for _, content, _ in pairs(tmp_path)] == [300_000]
