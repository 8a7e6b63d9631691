import pytest

from gatepost.lists.free_mail import is_free_mail, load_free_mail


def test_the_shipped_list_has_no_bad_line():
    assert load_free_mail().errors == []
    assert len(load_free_mail()) > 150


@pytest.mark.parametrize(
    ("domain", "free"),
    [
        ("gmail.com", True),
        ("Gmail.COM.", True),
        ("gmx.de", True),
        ("qq.com", True),
        ("mail.gmail.com", False),
        ("gmail.com.example.org", False),
        ("partner.example", False),
        ("", False),
    ],
)
def test_a_domain_is_found_in_any_spelling(domain, free):
    assert is_free_mail(domain) is free
