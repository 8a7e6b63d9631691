"""Record in the store which addresses your users have written to.

Limits: the plugin `standing` reads them. It must be in the configuration, under any name.
"""

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from gatepost.checks.account import serving
from gatepost.checks.scratch import scratch
from gatepost.cli.shared.output import Failure
from gatepost.config.schema import Config
from gatepost.plugin.clock import SystemClock
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugin.services import namespace
from gatepost.plugins._correspondents import Recorded, record_earlier
from gatepost.plugins.standing import Standing
from gatepost.session.assemble import SetupError, find_lists, load_files, make_store
from gatepost.store.errors import StoreError


class Trusted(NamedTuple):
    """The number of addresses that were written to, and what became of them.

    Those that are `expired` were written to so long ago that they are not trusted. The others are
    `new`, `renewed` with a later time, or `unchanged`; all 0 if nothing was recorded.
    """

    addresses: int
    expired: int
    new: int = 0
    renewed: int = 0
    unchanged: int = 0


def readers(config: Config) -> Mapping[str, float]:
    """Return how long addresses are trusted, by the namespace of each plugin `standing`."""
    try:
        found = {
            namespace(one.name or one.use): Standing(**one.options).options.correspondents
            for one in config.plugin
            if one.use == "standing"
        }
    except OptionsError as error:
        raise Failure(str(error)) from error
    if not any(found.values()):
        raise Failure(
            'no plugin reads these addresses: expected [[plugin]] with use = "standing" and'
            " correspondents above 0"
        )
    return found


def local_domains(config: Config) -> Callable[[str], bool]:
    """Return a function for domains in canonical form: whether one is in recipients.domains."""
    if not config.recipients.domains:
        raise Failure("recipients.domains: expected your domains, found none")
    with scratch(config) as usable:
        domains = find_lists(usable).domains
        try:
            load_files([one for one in domains if hasattr(one, "load")])
        except SetupError as error:
            raise Failure(*error.problems) from error
    return lambda domain: any(domain in one.current for one in domains)


def record(
    config: Config, plugins: Mapping[str, float], times: Mapping[str, float], *, dry_run: bool
) -> Trusted:
    """Record when addresses were written to, by key; raises `Failure`.

    With several plugins, the numbers are those of the plugin that trusts the longest.
    """
    now = time.time()
    keep = max(plugins.values())
    valid = {key: min(at, now) for key, at in times.items() if now - at < keep}
    expired = len(times) - len(valid)
    if dry_run:
        return Trusted(len(times), expired)
    _check_account(config)
    try:
        done = asyncio.run(_write(config, plugins, valid, now))
    except StoreError as error:
        raise Failure(f"store: {error}") from error
    return Trusted(len(times), expired, *done)


def _check_account(config: Config) -> None:
    """Raise `Failure` if the server could not use, or not have, what this command writes."""
    if config.store.url == "memory":
        raise Failure("store.url is memory: the server's workers share nothing with a command")
    try:
        account = serving(config)
    except KeyError:
        raise Failure(f"server.user: unknown user {config.server.user}") from None
    if config.store.url == "local" and account.uid != os.geteuid():
        raise Failure(f"the store belongs to {account.name}: expected to run as this user")


async def _write(
    config: Config, plugins: Mapping[str, float], times: Mapping[str, float], now: float
) -> Recorded:
    store, done = make_store(config, SystemClock()), Recorded(0, 0, 0)
    try:
        for name, keep in sorted(plugins.items(), key=lambda one: one[1]):
            usable = {key: at for key, at in times.items() if now - at < keep}
            done = await record_earlier(store.scope(name), usable, now, keep)
    finally:
        await store.close()
    return done
