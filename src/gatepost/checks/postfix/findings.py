"""The findings of `gatepost check` about the Postfix on this machine."""

from collections.abc import Iterator
from pathlib import Path

from gatepost.checks.postfix import settings
from gatepost.checks.postfix.placement import CHECKS, service_of
from gatepost.config.schema import Config


def warnings(config: Config, folder: Path | None = None) -> Iterator[str]:
    """Yield what is wrong with Postfix's settings for the listeners that it should ask.

    `folder` has its main.cf, None is Postfix's own. Without such a listener nothing is asked, and
    without `postconf` only if a folder is given.
    """
    listeners = [one for one in config.listen if one.protocol in CHECKS]
    if not listeners:
        return
    postconf = settings.command()
    if postconf is None:
        if folder is not None:
            yield f"{folder}: postconf is not installed, so Postfix's settings are not checked"
        return
    try:
        found = settings.read(postconf, folder)
    except settings.PostconfError as error:
        yield f"postfix: {error}"
        return
    for listen in listeners:
        service = service_of(config, listen, found.get("queue_directory", ""))
        if service is not None:
            for problem in CHECKS[listen.protocol](found, service):
                yield f"postfix: {problem}"
