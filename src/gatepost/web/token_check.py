"""The token of a request of a program, and the limit on wrong ones.

A valid token is always accepted, as it is too long to be guessed. Wrong ones are limited by address
as failed logins are (`access.attempts`), so that they cannot fill the ledger and the log.
"""

import time

from starlette.requests import Request

from gatepost.web.access.api_tokens import ApiToken, bearer
from gatepost.web.access.client import client_of
from gatepost.web.site import Site

EXPIRED = "expired"


class TooManyError(Exception):
    """Too many wrong tokens of a client, which may try again after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.seconds = int(seconds) + 1
        super().__init__(f"Too many wrong tokens. Try again in {self.seconds} seconds.")


def check_token(site: Site, request: Request) -> ApiToken | None:
    """Return the token of a request, None without a valid one.

    Raises `EntriesError`, and `TooManyError` for wrong ones.
    """
    token = valid_token(site, request)
    text = bearer(request)
    if token is None and text:
        _count(site, client_of(request, site.config.web).address, site.api_tokens.find(text))
    return token


def valid_token(site: Site, request: Request) -> ApiToken | None:
    """Return the token of a request, None without a valid one; counts nothing.

    Raises `EntriesError`.
    """
    token = site.api_tokens.find(bearer(request))
    return token if token is not None and token.expires > time.time() else None


def _count(site: Site, address: str, token: ApiToken | None) -> None:
    """Count and record a token that is wrong or has expired."""
    wait = site.token_attempts.wait(address)
    if wait > 0:
        raise TooManyError(wait)
    site.token_attempts.count(address)
    name, why = (token.name, EXPIRED) if token is not None else ("", "")
    site.audit.record("api token refused", name, address, why)
