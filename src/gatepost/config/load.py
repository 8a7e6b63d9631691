"""Read a configuration from a TOML file or a dict, or check one that was built in code.

Trusts only that the administrator owns the file. Invalid UTF-8, invalid TOML, unknown keys and
wrong values each give a `Problem`; one `ConfigError` contains all of them.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from gatepost.config.formats import EVERY_DOMAIN
from gatepost.config.kinds import TableKind
from gatepost.config.problem import ConfigError, Location, Problem
from gatepost.config.relay import is_everything
from gatepost.config.schema import ASKING, Config

# Targets that can pass mail on to other organisations.
RELAYING_SCHEMES = frozenset({"mx", "smtp", "smtps", "sendmail", "qmail-queue"})

_AFTER_KEY = re.compile("[=#]")
_DECLARED_TWICE = re.compile(r"Cannot declare .* twice")
_POSITION = re.compile(r"(.*) \(at (line \d+, column \d+|end of document)\)", re.DOTALL)


def load_config(path: Path | str) -> Config:
    """Read a TOML file; relative paths start at its folder. Raises `ConfigError`.

    A file must have the tables without which a server refuses or defers all mail. A file that is
    empty or truncated therefore never replaces the configuration of a running server.
    """
    file = Path(path)
    data = _parse(_read(file), str(file))
    config = config_from_dict(data, file.absolute().parent, source=str(file))
    _require_tables(config, data, Location(str(file)))
    return config


def config_from_dict(
    data: Mapping[str, Any], base: Path | None = None, *, source: str = "configuration"
) -> Config:
    """Read a configuration from the dict of a TOML file; raises `ConfigError`.

    `base` is the folder that relative paths start at (None: the current folder). Problems show
    `source` in place of a file name.
    """
    config = _checked(data, source)
    base = Path() if base is None else base
    return msgspec.structs.replace(config, base=base, source=source)


def check(config: Config, *, source: str = "configuration") -> Config:
    """Apply the loader's checks to a configuration built in code; raises `ConfigError`.

    The result has all values in their typed form.
    """
    return msgspec.structs.replace(_checked(config, source), base=config.base, source=source)


def _require_tables(config: Config, data: Mapping[str, Any], root: Location) -> None:
    """Raise `ConfigError` unless the file has a listener, a route, and domains if they apply."""
    if not data.get("listen"):
        root.member("listen").report_mismatch("at least one [[listen]]", "none")
    relays = any(route.relay_for for route in config.route)
    if not (config.recipients.domains or relays or config.plugin):
        domains = root.member("recipients").member("domains")
        domains.report_mismatch("your domains, a [[route]] with relay_for, or a [[plugin]]", "none")
    if not config.route and any(one.protocol not in ASKING for one in config.listen):
        root.member("route").report_mismatch("at least one [[route]]", "none")
    if root.problems:
        raise ConfigError(root.problems)


def _checked(data: object, source: str) -> Config:
    root = Location(source)
    config = TableKind(Config).read(data, root)
    if isinstance(config, Config):
        _require_certificates(config, root)
        _require_tls_for_auth(config, root)
        _refuse_open_relay(config, root)
    if root.problems:
        raise ConfigError(root.problems)
    assert isinstance(config, Config)
    return config


def _require_certificates(config: Config, root: Location) -> None:
    """Report listeners with TLS without a certificate; they must not run without TLS."""
    for number, listen in enumerate(config.listen):
        if listen.tls != "none" and not config.tls.certificates:
            location = root.member("listen").item(number).member("tls")
            location.report_mismatch("a certificate in tls.certificates", "none")
    if config.web.tls and not config.tls.certificates:
        location = root.member("web").member("tls")
        location.report_mismatch("a certificate in tls.certificates", "none")


def _require_tls_for_auth(config: Config, root: Location) -> None:
    """Report listeners that could never offer AUTH."""
    for number, listen in enumerate(config.listen):
        if listen.auth and listen.tls == "none" and not config.auth.clear:
            location = root.member("listen").item(number).member("auth")
            location.report_mismatch("TLS on this listener, or auth.clear = true", "neither")


def _refuse_open_relay(config: Config, root: Location) -> None:
    """Report routes by which any client could send mail to other servers."""
    for number, route in enumerate(config.route):
        for network in filter(is_everything, route.relay_for.networks):
            location = root.member("route").item(number).member("relay_for")
            location.report(
                f'expected your own networks, found "{network}": every client could send mail to'
                " every domain"
            )
    _refuse_every_domain(config, root)


def _refuse_every_domain(config: Config, root: Location) -> None:
    """Report routes to other servers if every domain is local."""
    if EVERY_DOMAIN not in config.recipients.domains:
        return
    for number, route in enumerate(config.route):
        scheme = route.to.partition(":")[0].lower()
        if scheme in RELAYING_SCHEMES:
            location = root.member("route").item(number).member("to")
            location.report(
                f'expected your domains in recipients.domains, found "*": with {scheme}: every'
                " client could send mail to every domain"
            )


def _read(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        _fail(str(file), "", f"cannot be read: {error.strerror}", error)
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        text = f"expected UTF-8, found byte 0x{error.object[error.start]:02x}"
        _fail(str(file), f"line {line}", text, error)


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError as error:
        _fail(source, "", "expected TOML, found arrays or tables nested too deeply", error)
    except ValueError as error:  # TOMLDecodeError, or a number the interpreter will not convert
        match = _POSITION.fullmatch(str(error))
        problem, position = (match[1], match[2]) if match else (str(error), "")
        if problem == "Cannot overwrite a value":
            problem = f"the key {_key_at(text, position)} is set twice"
        elif _DECLARED_TWICE.fullmatch(problem):
            problem = f"the table {_key_at(text, position)} is there twice"
        _fail(source, position, f"invalid TOML: {problem}", error)


def _key_at(text: str, position: str) -> str:
    """Return the key, or the table, of the line at a position of tomllib."""
    number = int(position.split(",", maxsplit=1)[0].removeprefix("line "))
    return _AFTER_KEY.split(text.split("\n")[number - 1], maxsplit=1)[0].strip()


def _fail(source: str, position: str, text: str, cause: Exception) -> NoReturn:
    raise ConfigError([Problem(source, position, text)]) from cause
