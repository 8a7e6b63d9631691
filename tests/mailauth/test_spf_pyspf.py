"""Random records, compared with pyspf 2.0: each difference is of a kind that the table explains."""

import importlib
import random
import re
import sys
import warnings
from typing import NamedTuple

import pytest
from tests.mailauth.random_records import case
from tools import peers

from gatepost.mailauth.spf import Limits, check_host
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.net.questions import Question

SEEDS = range(400)
UNLIMITED = 1000


class Difference(NamedTuple):
    """Results that may differ: patterns of "result: reason" of both, and the RFC 7208 rule."""

    ours: str
    theirs: str
    rule: str


DIFFERENCES = (
    Difference(
        ".*",
        "permerror: .*include has trivial recursion",
        "4.6.4: a record that includes itself reaches the limit of look-ups, unless a term before"
        " the include matches. pyspf refuses the record at once.",
    ),
    Difference(
        "permerror: .*expected a (?:macro such as|number of parts above 0)",
        "(?!permerror)",
        "7.1 and 7.3: a macro has a letter, digits with a value above 0, r and delimiters, in this"
        " order. pyspf accepts others.",
    ),
    Difference(
        r"permerror: .*\(op=.*expected no macro c, r or t",
        "(?!permerror)",
        "7.2: c, r and t are only in explanations. pyspf does not check the unknown modifier op.",
    ),
    Difference(
        "(?!permerror)",
        "temperror: .*no answer to A(?:AAA)? slow",
        "5.4: each host of mx is compared in the order of preference. pyspf first asks for all.",
    ),
    Difference(
        "(?!permerror)",
        "permerror: .*Too many DNS lookups",
        "4.6.4: terms are counted when they are evaluated. pyspf counts each redirect of a record,"
        " also after a match.",
    ),
)
VOID = Difference(
    "(?!permerror: more than)",
    "permerror: .*Void lookup limit",
    "4.6.4: the limit counts terms. pyspf counts each question: those for hosts of mx, for names"
    " of the client, and those for TXT records of included domains.",
)


@pytest.fixture(scope="module")
def spf():
    """Return the module of pyspf; skip the test if it is not available."""
    command = peers.find("cookbook")
    if command is None:
        pytest.skip(f"pyspf is missing: {peers.missing(['cookbook'])['cookbook']}")
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.setattr(sys, "path", [*sys.path, *command.env["PYTHONPATH"].split(":")])
        yield importlib.import_module("spf")


@pytest.fixture
def their_result(spf, monkeypatch):
    """Return a function that asks pyspf with the records of a zone: "result: reason"."""

    def ask(zone, ip, sender, helo, voids):
        monkeypatch.setattr(spf, "MAX_VOID_LOOKUPS", voids)
        monkeypatch.setattr(spf, "DNSLookup", lambda *question, **_: answer(zone, *question))
        query = spf.query(i=ip, s=sender, h=helo, strict=True, querytime=0)
        result, _, reason = query.check()
        return f"{result}: {reason}"

    def answer(zone, name, kind, *_):
        found = zone.answer(Question(kind, name))
        if found.status == "failed":
            raise spf.TempError(f"no answer to {kind} {name}")
        records = [(one.encode(),) if kind == "TXT" else one for one in found.records]
        return [((name, kind), one) for one in records]

    return ask


def our_result(zone, ip, sender, helo, voids):
    check = check_host(ip, "", sender, helo, limits=Limits(void_lookups=voids))
    found = ask_zone(check, zone)
    return f"{found.result}: {found.reason}"


def is_explained(ours, theirs, differences):
    return ours.partition(":")[0] == theirs.partition(":")[0] or any(
        re.match(one.ours, ours) and re.match(one.theirs, theirs) for one in differences
    )


@pytest.mark.parametrize(
    ("voids", "differences"), [(UNLIMITED, DIFFERENCES), (2, (*DIFFERENCES, VOID))]
)
def test_the_result_is_that_of_pyspf_or_the_difference_is_explained(
    their_result, voids, differences
):
    unexplained, results = [], set()
    for seed in SEEDS:
        records, arguments = case(random.Random(seed))
        zone = Zone(records)
        ours = our_result(zone, *arguments, voids)
        theirs = their_result(zone, *arguments, voids)
        results.add(ours.partition(":")[0])
        if not is_explained(ours, theirs, differences):
            unexplained.append((seed, ours, theirs))
    assert unexplained == []
    assert results == {
        *("pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"),
    }
