"""Key records in the DNS: RFC 6376 section 3.6.1, RFC 8463 section 3.

A domain should have one TXT record at the name of a key; with several the result is undefined.
Records that are no key records, such as those of a wildcard, are ignored here. Two key records are
an error: which one is meant depends on the order of the answer.

Limits: LONGEST_RECORD characters, MOST_RECORDS. The last parsed records are kept by their text.
"""

from collections.abc import Sequence
from functools import lru_cache

from gatepost.mailauth.dkim.fault import Fault, SignatureError
from gatepost.mailauth.dkim.public_key import PublicKey, load_public_key
from gatepost.mailauth.dkim.tags import TagError, decode_base64, parse_tags, split_list
from gatepost.model.structs import Frozen
from gatepost.net.questions import Answer

# An RSA key of 8192 bits takes 1,400 characters.
LONGEST_RECORD = 4096
MOST_RECORDS = 10
_UNSEEN = frozenset[str]()


class KeyRecord(Frozen, frozen=True):
    """A key and its restrictions; an empty set of hash algorithms or services permits all."""

    key: PublicKey
    hashes: frozenset[str] = _UNSEEN
    services: frozenset[str] = _UNSEEN
    flags: frozenset[str] = _UNSEEN

    @property
    def testing(self) -> bool:
        """True if the domain tests DKIM (t=y)."""
        return "y" in self.flags

    @property
    def strict(self) -> bool:
        """True if i= may not be a subdomain of d= (t=s)."""
        return "s" in self.flags

    def require_permitted(self, algorithm: str) -> None:
        """Raise `SignatureError` if the record does not permit a=, or is not for mail."""
        key_type, _, digest = algorithm.partition("-")
        if self.key.key_type != key_type:
            raise SignatureError("permerror", f"the key is for {self.key.key_type}, not {key_type}")
        if self.hashes and digest not in self.hashes:
            raise SignatureError("permerror", f"the key does not permit {digest} (h=)")
        if self.services and not self.services & {"*", "email"}:
            raise SignatureError("permerror", "the key is not for mail (s=)")
        self.key.require_accepted()


def read_answer(answer: Answer) -> KeyRecord:
    """Return the key record in an answer; raise `SignatureError`."""
    if answer.status == "failed":
        raise SignatureError("temperror", f"the key cannot be looked up: {answer.problem}")
    if answer.status != "found":
        raise SignatureError("permerror", "there is no key in the DNS")
    return _only_record(answer.records[:MOST_RECORDS])


def _only_record(texts: Sequence[str]) -> KeyRecord:
    parsed = [parse_record(text) for text in texts]
    records = [one for one in parsed if isinstance(one, KeyRecord)]
    if len(records) > 1:
        raise SignatureError("permerror", f"there are {len(records)} key records, expected one")
    if records:
        return records[0]
    faults = [one for one in parsed if isinstance(one, Fault)]
    # The reason of a record that meant to be a key helps more than that of another record.
    fault = max(faults, key=lambda one: one.reason != _NO_KEY)
    raise SignatureError.of(fault)


_NO_KEY = "the record has no p="


def parse_record(text: str) -> KeyRecord | Fault:
    """Return a key record, or the reason why the text is none that can be used."""
    if len(text) > LONGEST_RECORD:
        return Fault("permerror", f"the key record has more than {LONGEST_RECORD} characters")
    return _parsed(text)


# About 1 MB if all are RSA keys of 2048 bits, 3 MB if all have the greatest length.
@lru_cache(maxsize=512)
def _parsed(text: str) -> KeyRecord | Fault:
    try:
        return _record(parse_tags(text))
    except SignatureError as error:
        return error.fault
    except TagError as malformed:  # another name: mypyc gives a name one type
        return Fault("permerror", f"the key record is malformed: {malformed}")


def _record(tags: dict[str, str]) -> KeyRecord:
    if "p" not in tags:
        raise SignatureError("permerror", _NO_KEY)
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise SignatureError("permerror", "the key record does not start with v=DKIM1")
    if not tags["p"]:
        raise SignatureError("permerror", "the key was revoked (p= is empty)")
    try:
        octets = decode_base64(tags["p"])
    except TagError as error:
        raise SignatureError("permerror", f"the p= value of the key {error}") from None
    return KeyRecord(
        load_public_key(tags.get("k", "rsa"), octets),
        *(_words(tags, name) for name in ("h", "s", "t")),
    )


def _words(tags: dict[str, str], name: str) -> frozenset[str]:
    return frozenset(split_list(tags[name])) if name in tags else _UNSEEN
