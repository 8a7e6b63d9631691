"""Any text is Authentication-Results or a `ResultsError`, and what was read is written as the same.

Any header block has an author domain or a problem, and any text is a DMARC record or none.
"""

import sys

from fuzz.engine import Target, run
from gatepost.mailauth.dmarc import parse_record, read_author
from gatepost.mailauth.results import ResultsError, parse, write
from gatepost.mailauth.results.write import MAX_VALUE

TOKENS = [
    *(b"(", b")", b";", b"=", b"/", b".", b'"', b"\\", b"@", b" ", b"\t", b"\r\n ", b"\r\n", b"<"),
    *(b">", b",", b":", b"[", b"]", b"\0", b"\xc3\xbc", b"\xff", b"none", b"reason=", b"spf=pass"),
    *(b"smtp.mailfrom=", b"; ", b"v=DMARC1;", b"p=reject;", b"rua=mailto:", b"From: ", b"a@b"),
]
SEEDS = [
    b"mx.example 1; none",
    b'mx.example; spf=pass (c) smtp.mailfrom=a@b.example; dkim=fail reason="x" header.i=@c',
    b"f (c) 1 (d);\r\n dkim (e) / 1 (f) = (g) fail policy (h) . (i) expired = (j) 1362471462",
    b'From: "A B" <a@b.example>, (c) d (e) @ f . example\r\nTo: g@h\r\n',
    b"From: G: a@b, <@c,@d:e@f>;\r\n",
    b"v=DMARC1; p=reject; sp=none; np=none; adkim=s; t=y; psd=n; rua=mailto:a@b!1m,mailto:c@d",
]


def check(data: bytes) -> None:
    """Raise if the invariant does not hold."""
    author = read_author(data)
    assert bool(author.domain) != bool(author.problem)
    text = data.decode("utf-8", "replace")
    record = parse_record(text)
    assert record is None or record.p is not None
    try:
        found = parse(text)
    except ResultsError:
        return
    try:
        field = write(found.authserv_id, found.methods)
    except ValueError:
        return  # a name that is read leniently
    assert field.count(b"\r\n") == len(field[:-2].split(b"\r\n\t"))
    again = parse(field.decode().partition(":")[2])
    values = [one.reason + "".join(value for _, value in one.properties) for one in found.methods]
    if "".join((found.authserv_id, *values)).isprintable() and "".join(values).isascii():
        kept = max(map(len, (found.authserv_id, *values))) <= MAX_VALUE
        assert not kept or again.methods == found.methods


if __name__ == "__main__":
    sys.exit(run(Target(check, SEEDS, TOKENS)))
