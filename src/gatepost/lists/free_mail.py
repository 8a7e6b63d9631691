"""The shipped list of domains in which any person can get an address.

Good mail of one sender there shows nothing about the others, and an attacker has as many senders as
there are such domains. The file is `free_mail.txt` in this folder.

Limits: the list is not complete, and providers for one country or a school are seldom on it.
"""

from functools import cache
from importlib.resources import files

from gatepost.lists.domains import DomainList
from gatepost.model.address import domain_key

_NAME = "free_mail.txt"


@cache
def load_free_mail() -> DomainList:
    """Return the shipped list."""
    text = files("gatepost.lists").joinpath(_NAME).read_text("utf-8")
    return DomainList.from_lines(text.splitlines(), _NAME)


def is_free_mail(domain: str) -> bool:
    """Return whether any person can get an address in a domain, in any spelling."""
    return domain_key(domain) in load_free_mail()
