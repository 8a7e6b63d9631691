"""The page of a trap, and the changes that an administrator makes there.

Each change asks once, can be undone, and is an event in the ledger and a line in the history of the
trap. An armed trap takes effect within a second.

Security: only users with the role admin and without a limit to domains change traps. The form has
the token of the session, as all forms do (`app`).
"""

import time
from collections.abc import Mapping
from functools import partial

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost.checks.known import KnownError
from gatepost.ledger.store import LedgerError, QueryTimeoutError
from gatepost.lists.reloadable import ListError
from gatepost.registry.file import FileRegistry
from gatepost.registry.registry import NoSuchTrapError, UnchangedError
from gatepost.registry.trap import RegisteredTrap, author, key_of
from gatepost.traps.notes import STATES, TrapState
from gatepost.traps.verdicts import TrapClass
from gatepost.web.access.forms import read_form
from gatepost.web.asking import Problem
from gatepost.web.filters import Filters
from gatepost.web.scope import Scope
from gatepost.web.showing import answer, render
from gatepost.web.site import BusyError, Site, Visitor
from gatepost.web.views import trap
from gatepost.web.views.review import PATH, page_of
from gatepost.web.views.view import Shown, View

VIEW = View("trap", PATH, "Trap", "", lambda _s, _f: Shown([]), is_scoped=False)
DENIED = "Only administrators without a limit to some domains change traps."
EVENTS = {
    TrapState.ARMED: "dashboard trap armed",
    TrapState.SHADOW: "dashboard trap shadow",
    TrapState.RETIRED: "dashboard trap retired",
}
BUSY = "Too many queries are running, or one took too long. The trap is not changed."


class ChangeError(Exception):
    """A change that is not possible: a status of HTTP and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.problem = Problem(status, text)


def may_change(visitor: Visitor) -> bool:
    """Return whether a user changes traps."""
    return visitor.user.role == "admin" and visitor.user.scope.is_everything


async def trap_page(site: Site, request: Request, visitor: Visitor) -> Response:
    """Return the page of the trap in `entry`, or change it."""
    if not visitor.user.scope.is_everything:
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    if request.method == "POST":
        return await _change(site, request, visitor)
    try:
        entry = key_of(request.query_params.get("entry", ""))
    except ValueError as error:
        return render(VIEW, visitor, Filters(), Problem(400, str(error)))
    action = request.query_params.get("action", "") if may_change(visitor) else ""
    query = partial(trap.query, entry=entry, action=action)
    return await answer(site, VIEW, request, visitor, query)


async def _change(site: Site, request: Request, visitor: Visitor) -> Response:
    if not may_change(visitor):
        return render(VIEW, visitor, Filters(), Problem(403, DENIED))
    form = await read_form(request)
    try:
        changed = await site.run(partial(_changed, site, visitor.user.name, form))
    except ChangeError as error:
        return render(VIEW, visitor, Filters(), error.problem)
    except (BusyError, QueryTimeoutError):
        return render(VIEW, visitor, Filters(), Problem(503, BUSY))
    site.audit.record(
        EVENTS[TrapState(changed.state)], visitor.user.name, visitor.client.address, changed.entry
    )
    return RedirectResponse(page_of(changed.entry), 303)


def _changed(site: Site, user: str, form: Mapping[str, str]) -> RegisteredTrap:
    """Make the change of a form; raises `ChangeError`. Blocks."""
    state = STATES.get(form.get("action", ""))
    if state is None:
        raise ChangeError(400, f"action: expected one of {', '.join(STATES)}")
    try:
        entry = key_of(form.get("entry", ""))
        if state is TrapState.ARMED and form.get("force") != "yes":
            _check_arming(site, entry)
        return _set(FileRegistry(site.config.data_dir), entry, state, user, form.get("reason", ""))
    except UnchangedError as error:
        raise ChangeError(409, f"The trap is {error}.") from error
    except ValueError as error:
        raise ChangeError(400, str(error)) from error
    except (OSError, ListError, LedgerError, KnownError) as error:
        raise ChangeError(503, str(error)) from error


def _check_arming(site: Site, entry: str) -> None:
    found = trap.objections(site.source(Scope()), entry)
    if found:
        raise ChangeError(409, f"{entry} is not armed: {'; '.join(found)}.")


def _set(
    registry: FileRegistry, entry: str, state: TrapState, user: str, reason: str
) -> RegisteredTrap:
    """Change a trap, or register an address; one that is retired is not suggested again."""
    by, why = author(user, "dashboard"), reason.strip()
    try:
        return registry.set_state(entry, state, by, why)
    except NoSuchTrapError:
        learned, at = TrapClass.LEARNED.value, float(int(time.time()))
        new = RegisteredTrap(
            entry=entry, trap_class=learned, state=state.value, reason=why, by=by, at=at
        )
        return registry.change(entry, lambda _old: new)
