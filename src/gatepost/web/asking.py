"""Queries for a request: run in a thread, with an error of the query as a problem."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

from gatepost.allow.file import AllowError
from gatepost.checks.forgiving import ForgiveError
from gatepost.checks.known import KnownError
from gatepost.ledger.store import LedgerError, QueryTimeoutError
from gatepost.ledger.words.search import SearchError
from gatepost.lists.reloadable import ListError
from gatepost.process.live import NotRunningError
from gatepost.server.control_socket import RequestError
from gatepost.web.site import BusyError, Site
from gatepost.web.source import SECONDS
from gatepost.web.spool import QueueError

T = TypeVar("T")
_UNAVAILABLE = (
    AllowError,
    ForgiveError,
    LedgerError,
    QueueError,
    ListError,
    KnownError,
    NotRunningError,
    RequestError,
    OSError,
)


class Problem(msgspec.Struct, frozen=True):
    """Why there is nothing to show: a status of HTTP and a sentence."""

    status: int
    text: str


async def ask(site: Site, query: Callable[[], T | None]) -> T | Problem:
    """Return the result of a query; None is a reference without a record."""
    try:
        found = await site.run(query)
    except SearchError as error:
        return Problem(400, str(error))
    except _UNAVAILABLE as error:
        return Problem(503, str(error))
    except QueryTimeoutError:
        return Problem(
            503, f"The query took longer than {SECONDS:g} seconds. Use a shorter period."
        )
    except BusyError:
        return Problem(503, "Too many queries are running. Try again in some seconds.")
    return Problem(404, "There is no record of this reference.") if found is None else found
