import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mailauth.spf import Limits, SpfResult, check_host
from gatepost.mailauth.zone import Zone, ask_zone
from gatepost.net.ask import ask
from gatepost.net.questions import EMPTY, Answer, Question, found
from gatepost.testing import FakeResolver

TOP_LEVEL = "a domain that ends with a dot and a top-level domain, or with a macro"
FOUR, SIX = "192.0.2.1", "2001:db8::1"


def txt(*records):
    return [{"TXT": record} for record in records]


def check(zone, ip=FOUR, sender="user@example.com", helo="mail.example.com", **options):
    """Return the result for a zone; a text is the record of example.com."""
    zone = {"example.com": txt(zone)} if isinstance(zone, str) else zone
    return ask_zone(check_host(ip, "", sender, helo, **options), Zone(zone))


def questions(zone, ip=FOUR, **options):
    """Return the groups of questions that a check asks."""
    groups, zone = [], Zone(zone)
    steps = check_host(ip, "", "user@example.com", "mail.example.com", **options)
    try:
        group = next(steps)
        while True:
            groups.append([str(one) for one in group])
            group = steps.send([zone.answer(one) for one in group])
    except StopIteration:
        return groups


def test_a_result_has_the_domain_the_term_and_a_reason():
    assert check("v=spf1 ip4:192.0.2.0/24 -all") == SpfResult(
        "pass", "ip4:192.0.2.0/24 of example.com", "example.com", "ip4:192.0.2.0/24"
    )


@pytest.mark.parametrize(
    ("zone", "result", "reason"),
    [
        ("v=spf1 ~all", "softfail", "~all of example.com"),
        ("v=spf1 ip4:10.0.0.1", "neutral", "no term of example.com matches"),
        ({}, "none", "example.com has no SPF record"),
        ({"example.com": txt("v=spf10 -all", "x")}, "none", "example.com has no SPF record"),
        ({"example.com": txt("v=spf1", "v=SPF1 a")}, "permerror", "example.com has 2 SPF records"),
        (
            "v=spf1 mx a:museum",
            "permerror",
            f"record of example.com: term 2 (a:museum): expected {TOP_LEVEL}",
        ),
        (
            {"example.com": ["TIMEOUT"]},
            "temperror",
            "no answer to TXT example.com: no answer in time",
        ),
        (
            {"example.com": txt("v=spf1 a:slow.example"), "slow.example": ["TIMEOUT"]},
            "temperror",
            "no answer to A slow.example: no answer in time",
        ),
        (
            {
                "example.com": txt("v=spf1 ?include:a.example -all"),
                "a.example": txt("v=spf1 include:b.example"),
                "b.example": [*txt("v=spf1 mx"), {"MX": [1, "mx.b.example"]}],
                "mx.b.example": [{"A": FOUR}],
            },
            "neutral",
            "?include:a.example of example.com (mx of b.example (mx.b.example))",
        ),
        (
            {"example.com": txt("v=spf1 include:a.example -all")},
            "permerror",
            "include:a.example of example.com: a.example has no SPF record",
        ),
        (
            "v=spf1 redirect=%{l}",
            "permerror",
            "redirect=%{l} of example.com: user is not a domain name",
        ),
        (
            "v=spf1 include:a..example",
            "permerror",
            "include:a..example of example.com: a..example is not a domain name",
        ),
        (
            {"example.com": txt("v=spf1 redirect=b.example"), "b.example": txt("v=spf1 -all")},
            "fail",
            "-all of b.example",
        ),
        (
            {
                "example.com": txt("v=spf1 ptr -all"),
                FOUR: [{"PTR": "MX.Example.com"}],
                "mx.example.com": [{"A": FOUR}],
            },
            "pass",
            "ptr of example.com (mx.example.com)",
        ),
    ],
)
def test_the_reason_names_the_term_the_error_or_the_question(zone, result, reason):
    answer = check(zone)
    assert (answer.result, answer.reason) == (result, reason)


@pytest.mark.parametrize(
    ("sender", "helo", "domain", "result"),
    [
        ("user@example.com", "x", "example.com", "fail"),
        ("", "example.com", "example.com", "fail"),
        ("@example.com", "x", "example.com", "fail"),
        ('"a@b"@Example.COM.', "x", "Example.COM", "fail"),
        ("", "[192.0.2.1]", "[192.0.2.1]", "none"),
        ("", "192.0.2.1", "192.0.2.1", "none"),
        ("", "localhost", "localhost", "none"),
        ("", "", "", "none"),
        ("user@a..example", "x", "a..example", "none"),
        (f"user@{'a' * 64}.example", "x", f"{'a' * 64}.example", "none"),
        ("user@bücher.example", "x", "xn--bcher-kva.example", "fail"),
    ],
)
def test_the_domain_is_that_of_the_sender_or_of_helo(sender, helo, domain, result):
    zone = {"example.com": txt("v=spf1 -all"), "xn--bcher-kva.example": txt("v=spf1 -all")}
    answer = check(zone, sender=sender, helo=helo)
    assert (answer.domain, answer.result) == (domain, result)


def test_a_name_that_cannot_have_a_record_is_not_asked_for():
    steps = check_host(FOUR, "localhost", "user@example.com", "x")
    with pytest.raises(StopIteration) as done:
        next(steps)
    assert done.value.value.reason == "localhost is not a domain name"


def test_the_domain_may_differ_from_that_of_the_sender():
    zone = Zone({"helo.example": txt("v=spf1 exists:%{o}.%{d} -all"), "s.example.helo.example": []})
    answer = ask_zone(check_host(FOUR, "helo.example", "a@s.example", "x"), zone)
    assert (answer.result, answer.domain) == ("fail", "helo.example")


def test_a_check_runs_on_an_event_loop_with_a_resolver():
    resolver = FakeResolver(
        mx={"example.com": [(10, "mx.example.com")]},
        a={"mx.example.com": FOUR},
        txt={"example.com": "v=spf1 ptr mx -all"},
    )
    result = asyncio.run(ask(check_host(FOUR, "", "user@example.com", "x"), resolver))
    assert result.reason == "mx of example.com (mx.example.com)"


def test_text_that_is_no_ip_address_is_an_error():
    with pytest.raises(ValueError, match="does not appear to be"):
        check("v=spf1 -all", ip="unix")


def test_hosts_of_mx_are_asked_together_in_the_order_of_preference():
    zone = {
        "example.com": [
            *txt("v=spf1 mx -all"),
            {"MX": [20, "b.example"]},
            {"MX": [10, "a.example"]},
            {"MX": [30, "b.example"]},
            {"MX": [40, ""]},
        ]
    }
    assert questions(zone) == [
        ["TXT example.com"],
        ["MX example.com"],
        ["A a.example", "A b.example"],
    ]


@pytest.mark.parametrize(("order", "result"), [((10, 20), "pass"), ((20, 10), "temperror")])
def test_a_host_of_mx_that_fails_counts_only_before_a_match(order, result):
    good, slow = order
    mx = [{"MX": [good, "good.example"]}, {"MX": [slow, "slow.example"]}]
    zone = {"example.com": [*txt("v=spf1 mx"), *mx], "good.example": [{"A": FOUR}]}
    assert check({**zone, "slow.example": ["TIMEOUT"]}).result == result


def test_more_than_ten_mx_records_are_an_error():
    mx = [{"MX": [number, "mx.example"]} for number in range(11)]
    assert check({"example.com": [*txt("v=spf1 mx -all"), *mx[:10]]}).result == "fail"
    answer = check({"example.com": [*txt("v=spf1 mx -all"), *mx]})
    assert answer.result == "permerror"
    assert answer.reason == "more than 10 MX records, at mx of example.com"


def test_only_ten_names_of_the_client_are_used():
    names = [{"PTR": f"h{number}.example.com"} for number in range(11)]
    zone = {"example.com": txt("v=spf1 ptr -all"), FOUR: names, "h10.example.com": [{"A": FOUR}]}
    assert check(zone).result == "fail"
    assert check({**zone, "h9.example.com": [{"A": FOUR}]}).result == "pass"
    assert len(questions(zone)[-1]) == 10


def test_the_names_of_the_client_are_asked_for_once():
    zone = {"example.com": txt("v=spf1 ptr:a.example exists:%{p}.example ptr -all"), FOUR: []}
    assert sum(one == ["PTR 192.0.2.1"] for one in questions(zone)) == 1


def test_names_of_the_client_that_fail_do_not_match():
    zone = {"example.com": txt("v=spf1 ptr -all")}
    assert check({**zone, FOUR: ["TIMEOUT"]}).result == "fail"
    assert (
        check({**zone, FOUR: [{"PTR": "a.example.com"}], "a.example.com": ["TIMEOUT"]}).result
        == "fail"
    )


def test_ten_terms_may_ask_and_the_eleventh_is_an_error():
    hosts = {"example.com": [*txt("v=spf1 " + "a " * 10 + "-all"), {"A": "192.0.2.9"}]}
    assert check(hosts).result == "fail"
    hosts["example.com"] = [*txt("v=spf1 " + "a " * 11 + "-all"), {"A": "192.0.2.9"}]
    assert check(hosts).reason == "more than 10 terms with look-ups, at a of example.com"
    assert check(hosts, limits=Limits(lookups=11)).result == "fail"


def test_the_macro_p_counts_once():
    zone = {
        "example.com": [
            *txt("v=spf1 exists:%{p}.a.example exists:%{p}.b.example " + "a " * 7 + "-all")
        ],
    }
    limits = Limits(void_lookups=100)
    assert check(zone, limits=limits).result == "fail"
    zone = {"example.com": txt(zone["example.com"][0]["TXT"].replace("-all", "a -all"))}
    assert check(zone, limits=limits).result == "permerror"


@pytest.mark.parametrize(
    "record",
    ["v=spf1 include:example.com -all", "v=spf1 redirect=example.com", "v=spf1 include:%{d} -all"],
)
def test_a_record_that_refers_to_itself_ends(record):
    assert check(record).reason.startswith("more than 10 terms with look-ups, at ")
    assert len(questions({"example.com": txt(record)})) == 11


def test_void_look_ups_are_limited():
    record = "v=spf1 a:a.example exists:b.example ?mx:c.example -all"
    answer = check(record)
    assert answer.result == "permerror"
    assert answer.reason == "more than 2 void look-ups, at ?mx:c.example of example.com"
    assert check(record, limits=Limits(void_lookups=3)).result == "fail"


def test_hosts_without_an_address_of_the_clients_version_are_one_void_look_up():
    hosts = {f"h{number}.example": [{"A": FOUR}] for number in range(5)}
    mx = [{"MX": [number, host]} for number, host in enumerate(hosts)]
    zone = {"example.com": [*txt("v=spf1 mx a:h0.example -all"), *mx], **hosts}
    assert check(zone, SIX).result == "fail"
    zone["example.com"][0] = {"TXT": "v=spf1 mx a:h0.example a:h1.example -all"}
    assert check(zone, SIX).result == "permerror"


def test_a_host_with_an_address_makes_mx_no_void_look_up():
    mx = [{"MX": [1, "six.example"]}, {"MX": [2, "four.example"]}, {"MX": [3, "4.example"]}]
    zone = {
        "example.com": [*txt("v=spf1 mx mx mx -all"), *mx],
        "six.example": [{"AAAA": "2001:db8::9"}],
        "four.example": [{"A": FOUR}],
    }
    assert check(zone, SIX).result == "fail"


def test_an_explanation_counts_neither_look_ups_nor_void_look_ups():
    zone = {"example.com": txt("v=spf1 a:a.example a:b.example exp=%{p}.example -all")}
    assert check(zone, explain=True).result == "fail"


def test_an_explanation_is_fetched_only_on_request():
    zone = {"example.com": txt("v=spf1 exp=e.example -all"), "e.example": txt("%{i} %{r} %{t} %%")}
    assert questions(zone) == [["TXT example.com"]]
    assert check(zone).explanation == ""
    options = {"receiver": "mx.example", "now": 7}
    assert check(zone, explain=True, **options).explanation == "192.0.2.1 mx.example 7 %"
    assert check(zone, explain=True).explanation == "192.0.2.1 unknown 0 %"


@pytest.mark.parametrize(
    "explanation",
    [[], txt("a", "b"), txt("%"), txt("%{x}"), txt("\x1b[0m"), txt("ä"), ["TIMEOUT"], txt("")],
)
def test_an_explanation_that_cannot_be_used_is_empty(explanation):
    zone = {"example.com": txt("v=spf1 exp=e.example -all"), "e.example": explanation}
    answer = check(zone, explain=True)
    assert (answer.result, answer.explanation) == ("fail", "")


def test_a_name_of_an_explanation_that_cannot_exist_is_not_asked_for():
    zone = {"example.com": txt("v=spf1 exp=a..example -all")}
    assert questions(zone, explain=True) == [["TXT example.com"]]


def test_a_local_part_that_is_not_ascii_matches_no_term():
    zone = {
        "example.com": txt("v=spf1 exists:%{l}.example.com ~all"),
        "ü.example.com": [{"A": FOUR}],
    }
    assert check(zone, sender="ü@example.com").result == "softfail"


def test_a_name_that_cannot_exist_is_not_asked_for():
    record = "v=spf1 a:a..example mx:a..example ptr:a..example exists:a..example -all"
    assert check(record).result == "fail"
    assert questions({"example.com": txt(record)}) == [["TXT example.com"]]


def test_a_record_that_is_too_long_is_an_error():
    answer = check("v=spf1 " + "ip4:192.0.2.0/24 " * 1000)
    assert (answer.result, answer.reason) == (
        "permerror",
        "record of example.com: longer than 8192 octets",
    )


def test_the_macro_p_prefers_the_domain_then_a_name_in_it():
    names = ["other.example", "a.example.com", "example.com"]
    zone = {
        "example.com": [*txt("v=spf1 exists:%{p}.x -all"), {"A": FOUR}],
        "a.example.com": [{"A": FOUR}],
        "other.example": [{"A": FOUR}],
    }
    for count in (3, 2, 1):
        zone[FOUR] = [{"PTR": one} for one in names[:count]]
        assert questions(zone)[-1] == [f"A {names[count - 1]}.x"]
    zone[FOUR] = []
    assert questions(zone)[-1] == ["A unknown.x"]


def test_each_step_is_noted_for_people():
    notes = []
    zone = {"example.com": txt("v=spf1 mx include:a.example -all"), "a.example": txt("v=spf1 all")}
    check(zone, note=notes.append)
    assert notes == [
        "example.com: v=spf1 mx include:a.example -all",
        "mx of example.com does not match",
        "a.example: v=spf1 all",
        "all of a.example matches",
        "include:a.example of example.com matches",
    ]


WORDS = {"pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"}
NAMES = st.sampled_from(["a.example", "b.example", "c.example", "192.0.2.1"])
TERMS = st.sampled_from(
    [
        *("a", "mx", "ptr", "-all", "mx:b.example", "a:%{p}.example", "include:a.example"),
        *("include:b.example", "redirect=c.example", "exists:%{ir}.%{l}", "exp=b.example", "a:%"),
        *("ip4:192.0.2.0/24", "ip6:::/0", "include:%{d}", "include:%{s}.%{h}"),
    ]
)
RECORDS = st.lists(TERMS, max_size=14).map(lambda terms: " ".join(["v=spf1", *terms]))
ANSWERS = st.one_of(
    st.just(Answer("failed", (), "time-out")),
    st.just(EMPTY),
    st.lists(st.one_of(RECORDS, NAMES, st.text(max_size=20)), max_size=12).map(found),
)
MX = st.lists(st.tuples(st.integers(0, 65535), st.one_of(NAMES, st.text(max_size=9))), max_size=12)


@given(st.data())
def test_any_answers_give_a_result_after_a_bounded_number_of_questions(data):
    known = {}

    def answer(question):
        if question not in known:
            answers = MX.map(found) if question.kind == "MX" else ANSWERS
            known[question] = data.draw(answers)
        return known[question]

    ip = data.draw(st.sampled_from([FOUR, SIX]))
    sender = data.draw(st.one_of(NAMES.map("user@{}".format), st.text(max_size=30)))
    helo = data.draw(st.one_of(NAMES, st.text(max_size=30)))
    limits = Limits(void_lookups=data.draw(st.sampled_from([2, 100])))
    steps = check_host(ip, "", sender, helo, explain=True, limits=limits)
    asked = 0
    try:
        group = next(steps)
        while True:
            asked += len(group)
            group = steps.send([answer(one) for one in group])
    except StopIteration as done:
        result = done.value
    assert result.result in WORDS
    assert (result.reason + result.explanation).isascii()
    assert (result.reason + result.explanation).isprintable()
    assert len(result.reason) < 3000
    # the record, ten terms with a question and ten hosts each, the client's names, the explanation
    assert asked <= 1 + 10 * 11 + 11 + 1
    assert all(isinstance(one, Question) for one in known)
