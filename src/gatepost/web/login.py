"""Login, logout, and the first user.

Security: a wrong name and a wrong password have the same answer, after the same time. Attempts are
limited before a password is checked (`access.attempts`). A form that another site sends is refused
by its Origin, and one of a user also by its token. After the login only a path of this site is
followed.
"""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from gatepost.auth.passwords import BusyError
from gatepost.log.logger import get_logger
from gatepost.log.os_error import describe_os_error
from gatepost.web.access.client import Client, client_of
from gatepost.web.access.entries import EntriesError
from gatepost.web.access.forms import read_form
from gatepost.web.access.users import WebUser, parse_name, with_password
from gatepost.web.pages import page
from gatepost.web.site import COOKIE, Site, Visitor
from gatepost.wire.sasl.mechanism import SaslError
from gatepost.wire.sasl.prepare import prepare_password

HOME = "/"
WRONG = "The name or the password is wrong."
BUSY = "Too many logins at the moment. Try again in some seconds."

_log = get_logger("gatepost.web")


def is_from_here(request: Request) -> bool:
    """Return whether a form was sent by a page of this site, as far as the browser reports it.

    Browsers send Sec-Fetch-Site by HTTPS and to this machine, and Origin always. A reverse proxy
    can change the name of the host with which Origin is compared.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def show_login(request: Request, text: str = "", status: int = 200) -> Response:
    """Return the form."""
    target = request.query_params.get("next", "")
    return page("login.html", status, text=text, target=_path(target))


async def log_in(site: Site, request: Request) -> Response:
    """Check a name and a password, and start a session."""
    client, form = client_of(request, site.config.web), await read_form(request)
    wait = site.attempts.wait(client.address)
    if wait > 0:
        minutes = int(wait // 60) + 1
        response = show_login(request, f"Too many failed logins. Try again in {minutes} min.", 429)
        response.headers["Retry-After"] = str(int(wait) + 1)
        return response
    site.attempts.count(client.address)
    try:
        user = await _checked(site, form.get("name", ""), form.get("password", ""))
    except BusyError:
        site.attempts.refund(client.address)
        return show_login(request, BUSY, 503)
    if user is None:
        site.audit.record("dashboard login failed", form.get("name", "")[:64], client.address)
        return show_login(request, WRONG, 403)
    site.attempts.refund(client.address)
    site.audit.record("dashboard login", user.name, client.address)
    return _logged_in(site, user, client, _path(form.get("next", "")))


async def _checked(site: Site, name: str, password: str) -> WebUser | None:
    """Return the user with a password, None if it is wrong; raises `BusyError`."""
    try:
        known, prepared = parse_name(name), prepare_password(password.encode())
    except (ValueError, SaslError):
        return None
    user = site.users.read().get(known)
    hashed = user.hash if user is not None and user.hash else site.decoys.hash("")
    is_right = await site.passwords.check(hashed, prepared)
    return user if is_right and user is not None and user.hash else None


def _logged_in(site: Site, user: WebUser, client: Client, target: str) -> Response:
    response = RedirectResponse(target, 303)
    response.set_cookie(
        COOKIE,
        site.sessions.start(user),
        max_age=int(site.config.web.session),
        secure=client.is_secure,
        httponly=True,
        samesite="strict",
    )
    return response


def log_out(site: Site, visitor: Visitor) -> Response:
    """End the session of a visitor."""
    site.sessions.end(visitor.session)
    site.audit.record("dashboard logout", visitor.user.name, visitor.client.address)
    response = RedirectResponse("/login", 303)
    response.delete_cookie(COOKIE)
    return response


def show_first(site: Site, request: Request, text: str = "", status: int = 200) -> Response:
    """Return the form for the first user, or an error without the token of this process."""
    token = request.query_params.get("token", "")
    if not site.first.is_valid(token) or site.users.read():
        text = (
            "This link is not valid any more. `gatepost web users add NAME` adds a user, and a"
            " start without users prints a new link."
        )
        return page("login.html", 403, text=text, target=HOME)
    return page("first.html", status, text=text, token=token)


async def add_first(site: Site, request: Request) -> Response:
    """Add the first user, an administrator, and start a session."""
    form = await read_form(request)
    if not site.first.is_valid(request.query_params.get("token", "")):
        return show_first(site, request)
    client = client_of(request, site.config.web)
    try:
        name = parse_name(form.get("name", ""))
        user = await site.run(
            lambda: with_password(WebUser(name, "admin"), form.get("password", ""))
        )
    except ValueError as error:
        return show_first(site, request, str(error), 400)
    try:
        added = site.users.add_first(user)
    except (OSError, EntriesError) as error:
        problem = describe_os_error(error) if isinstance(error, OSError) else str(error)
        _log.error("user not added", problem=problem)
        return show_first(site, request, "The user cannot be stored. The log has the reason.", 500)
    site.first.use()
    if not added:
        return show_first(site, request)
    site.audit.record("dashboard user added", user.name, client.address)
    return _logged_in(site, user, client, HOME)


def _path(target: str) -> str:
    """Return a path of this site, HOME for anything else."""
    is_path = target.startswith("/") and not target.startswith("//")
    return target if is_path and "\\" not in target and target.isprintable() else HOME
