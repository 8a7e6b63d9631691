"""Message identifiers are recognised, and names of persons and roles are not.

By hand, with lists that are not part of this repository: of 1,018 role names and of 8,110 login
names guessed by a botnet, none is recognised.
"""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.traps.message_ids import FORMS, SHORTEST, is_own_form, recognise


def words(text):
    return text.split()


def date(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


FOUND = [
    ("E1onPeQ-0004iY-6m", "exim", "2022-10-25T19:31:50"),
    ("1onPeQ-0004iY-6m", "exim", "2022-10-25T19:31:50"),
    ("e1onpeq-0004iy-6m", "exim", None),
    ("1rZfYo-00000004Kxz-1AbC", "exim 4.97", "2024-02-12T23:18:02"),
    ("03f1.4dee1234", "counter.time", "2011-06-07T11:57:40"),
    ("4DEE1234.5060708", "mozilla", "2011-06-07T11:57:40"),
    ("4DEE1234.50f07b8", "mozilla, hex", "2011-06-07T11:57:40"),
    ("1a2.3b4c5d6.4dee1234", "aol", "2011-06-07T11:57:40"),
    ("20200222004841.12345.qmail", "qmail", "2020-02-22T00:48:41"),
    ("123456.12345.qm", "yahoo", None),
    ("1234567890.123456.1582332521000", "yahoo, java", "2020-02-22T00:48:41"),
    ("20200222004841.GA12345", "mutt", "2020-02-22T00:48:41"),
    ("20200222004841.A1B2C3D4E5", "postfix", "2020-02-22T00:48:41"),
    ("20200222004841.4bDfGh1Xyz2z7k", "postfix", "2020-02-22T00:48:41"),
    ("200002220048.EAA12345", "sendmail", "2000-02-22T00:48:00"),
    ("202002220048.01M0mfXY012345", "sendmail", "2020-02-22T00:48:00"),
    ("200702220048.41234.jo.smith", "kmail", "2007-02-22T00:48:00"),
    ("5.1.0.14.2.20020222004841.00a1b2c0", "eudora", "2002-02-22T00:48:41"),
    ("1234567890.20020222004841", "the bat", "2002-02-22T00:48:41"),
    ("Pine.LNX.4.64.0706281234560.12345", "pine", "2007-06-28T00:00:00"),
    ("Pine.GSO.3.96.990628123456.12345A-100000", None, None),
    ("alpine.DEB.2.00.1002221234560.12345", "pine", "2010-02-22T00:00:00"),
    ("12345.1.1582332521000.JavaMail.root", "javamail", "2020-02-22T00:48:41"),
    ("1582332521.12345.1.camel", "evolution", "2020-02-22T00:48:41"),
    ("87k1abcdef.fsf", "gnus", None),
    ("158233252112.12345.1234567890123456789", "python", "2020-02-22T00:48:41.12"),
    ("1582332521.Ab1Cd2Ef3.12345", "perl", "2020-02-22T00:48:41"),
    ("002301c8d2a4$abcd1234$0a00a8c0", "outlook", "2008-06-20T07:05:19.652863"),
    ("!&!AAAAAAAAAAAYAAAAAAAAAJcd1234efGHij5678klMN==", "outlook, encoded", None),
    ("DB7PR02MB4321A1B2C3D4E5F60718293A4B5C6", "exchange online", None),
    ("OF1234ABCD.12345678-ONC1257ABC.0012ABCD-C1257ABC.0012ABCE", "notes", None),
    ("CA+G9fYtxyzABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijk0123-_=w", "gmail", None),
    (
        "0100017063d2f1a1-6b6e2f3a-1234-4abc-9def-0123456789ab-000000",
        "amazon ses",
        "2020-02-20T18:18:53.729",
    ),
    (
        "0123456789abcdef01234567a.0123456789.20200222004841.a1b2c3d4e5.12345678",
        "mailchimp",
        "2020-02-22T00:48:41",
    ),
    ("6b6e2f3a-1234-4abc-9def-0123456789ab", "uuid", None),
    ("6B6E2F3A-1234-4ABC-9DEF-0123456789AB", "uuid", None),
    ("d41d8cd98f00b204e9800998ecf8427e", "hex", None),
    ("8b7d6f5a4c3b2a19", "hex", None),
    ("kflu86vcl3cd2h7", "token of 14 to 23", None),
    ("mfq2wxyzmnop4abcdef3ghij", "token of 24 or more", None),
]

PEOPLE = words("""
    john.smith j.smith john_smith john-smith smith john.f.kennedy jean-luc.picard o'brien
    joseph-martin-jr mary-anne-smith maria.de.la.cruz anna.maria.von.und.zu.hohenstein
    christopherjohnson1984 john1984smith2 user123456 k12345678 s1234567 u0012345 m12a34567
    20200222 1984 8613812345678 0049301234567 a1 b2b c3po r2d2 007 4711 24x7 365days
    abcdef deadbeef cafebabe face.feed beef.cafe dead.deadbeef facade.decade feed.beefcafe
    info sales support webmaster postmaster abuse hostmaster root admin noreply no-reply
    mailer-daemon newsletter newsletter2024 kontakt bewerbung rechnung buchhaltung office2 team-42
    richard.stallman.fsf johnson.gnus emacs.fsf first.last.camel dr.qmail joe.qm
    sales.de info.2024 2024.summer.party spring-2024-event room-1234-b meeting.20240222
    verylonglastnamewithoutanydigitsinit wolfeschlegelsteinhausenbergerdorff
    accounts.payable-emea purchase.orders.2024 vp-sales-north-america-2 info-b2b-24h
    müller anna.müller иван.иванов 山田 of1 pine pine.tree alpine.club ca california cable
""")

OWN = words("""
    prvs=1234567890=john prvs=0a1b2c3d4e=jo btv1==1234abcd==jo msprvs1=18000abcdef=bounces-1234
    SRS0=HHH=TT=example.org=jo SRS0+abcd=ef=example.org=jo
    SRS1=ab=example.net==HHH=TT=example.org=jo
    bounces+1234-jo=example.org bounce-12345-jo=example.org list-return-123-jo=example.org
    bounce-d41d8cd98f00b204e9800998ecf8427e bounces.6b6e2f3a-1234-4abc-9def-0123456789ab
    return-d41d8cd98f00b204e9800998ecf8427e reply-d41d8cd98f00b204e9800998ecf8427e
    reply+d41d8cd98f00b204e9800998ecf8427e jo+d41d8cd98f00b204e9800998ecf8427e
    jo+20200222004841.1.qmail
    unsubscribe-6b6e2f3a-1234-4abc-9def-0123456789ab confirm+2f3a12344abc9def0123
    r.a1b2c3d4e5f6a7b8c9d0
    list-bounces owner-list list-request msg-20200222004841 token-d41d8cd98f00b204e9800998ecf8427e
    b.d41d8cd98f00b204e9800998ecf8427e
""")


@pytest.mark.parametrize(("local", "form", "written"), FOUND)
def test_the_form_and_the_date_are_recognised(local, form, written):
    found = recognise(local)
    assert (found and found.form) == form
    assert found is None or found.written == (written and pytest.approx(date(written), abs=1e-3))


@pytest.mark.parametrize("local", [local for local, form, _ in FOUND if form])
def test_every_form_is_recognised_in_lower_case(local):
    assert recognise(local.lower()) is not None


def test_every_form_has_an_example():
    assert {form for _, form, _ in FOUND if form} == {form.name for form in FORMS}


@pytest.mark.parametrize("local", PEOPLE)
def test_a_name_is_no_message_identifier(local):
    assert recognise(local) is None


@pytest.mark.parametrize("local", OWN)
def test_an_address_for_returns_or_replies_is_no_message_identifier(local):
    assert is_own_form(local) or not any(form.pattern.fullmatch(local) for form in FORMS)
    assert recognise(local) is None


@pytest.mark.parametrize(
    "local", ["03f1.1dee1234", "03f1.9dee1234", "20201322004841.12345.qmail", "1.2.9582332521000"]
)
def test_a_number_that_is_no_plausible_date_is_no_date(local):
    assert recognise(local) is None


def test_a_long_local_part_is_not_examined():
    assert recognise("ab12" * 64) is None or len("ab12" * 64) <= 256
    assert recognise("ab12" * 65) is None


@given(st.text(max_size=300))
def test_any_text_is_examined_without_an_error(local):
    recognise(local)


@given(st.text("abcdefghijklmnopqrstuvwxyz.-_", max_size=80))
def test_a_local_part_without_digits_is_never_a_message_identifier(local):
    assert recognise(local) is None


@given(st.from_regex(r"[a-z]{1,12}[._-]?[a-z]{1,16}\d{0,4}", fullmatch=True))
def test_a_name_with_a_number_is_never_a_message_identifier(local):
    assert recognise(local) is None


@pytest.mark.parametrize("piece", ["a1", "1a", "0", "a", "1.", "a-", "=", "+", "Pine.1."])
def test_the_time_does_not_explode(piece):
    recognise((piece * 256)[:256])


@given(st.sampled_from(FORMS).flatmap(lambda form: st.from_regex(form.pattern, fullmatch=True)))
def test_no_form_is_shorter_than_the_quick_check(local):
    assert len(local) >= SHORTEST
