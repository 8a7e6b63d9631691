import math

import pytest

from gatepost.model.decision import Decision, Verdict, accept, defer, deny


def test_accept_makes_a_decision():
    assert accept() == Decision(Verdict.ACCEPT)
    assert accept("welcome", reason="known") == Decision(Verdict.ACCEPT, "welcome", reason="known")


@pytest.mark.parametrize(
    ("answer", "verdict", "code", "enhanced"),
    [(deny, Verdict.DENY, 554, "5.7.1"), (defer, Verdict.DEFER, 450, "4.2.0")],
)
def test_deny_and_defer_make_decisions(answer, verdict, code, enhanced):
    assert answer() == Decision(verdict)
    decision = answer("no", code=code, enhanced=enhanced, reason="why", disconnect=True, delay=1.5)
    assert decision == Decision(verdict, "no", code, enhanced, "why", True, 1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: deny(code=450), "deny() takes a 5xx code, found 450"),
        (lambda: defer(code=550), "defer() takes a 4xx code, found 550"),
        (lambda: deny(code=99), "expected a reply code from 200 to 599, found 99"),
        (
            lambda: deny(enhanced="4.7.1"),
            "enhanced status code 4.7.1 does not go with reply code 550",
        ),
        (
            lambda: defer(enhanced="5.7.1"),
            "enhanced status code 5.7.1 does not go with reply code 450",
        ),
        (lambda: deny(enhanced="no"), "expected an enhanced status code such as 5.7.1, found 'no'"),
        (lambda: defer(delay=-1), "defer() takes a delay of 0 or more seconds, found -1"),
        (lambda: deny(delay=math.nan), "deny() takes a delay of 0 or more seconds, found nan"),
        (lambda: deny(delay=math.inf), "deny() takes a delay of 0 or more seconds, found inf"),
    ],
)
def test_codes_of_another_class_are_refused(call, message):
    with pytest.raises(ValueError) as caught:
        call()
    assert str(caught.value) == message
