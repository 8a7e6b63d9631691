"""Open what a configuration's records go to: the store, the export, the metrics."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from gatepost.config.schema import Config
from gatepost.config.secret_file import read_secret
from gatepost.disk.durable import ensure_private
from gatepost.ledger.export import Export
from gatepost.ledger.keeper import Keeper, NoStore, Sink, Store
from gatepost.ledger.records import Record, RecordError
from gatepost.ledger.records import decode as decode_record
from gatepost.ledger.store import LedgerWriter
from gatepost.log.logger import get_logger
from gatepost.metrics.counting import Counting
from gatepost.metrics.report import report_of, write_report
from gatepost.metrics.status import StatusError, decode

if TYPE_CHECKING:
    from gatepost.ledger.webhook import WebhookSender

# The file for `gatepost status`, in the folder of the ledger.
REPORT_FILE = "status.json"
# How long a stop waits for the receivers of webhooks, in seconds.
WEBHOOK_STOP = 3.0

_log = get_logger("gatepost.ledger")


def open_keeper(config: Config, counting: Counting, *, counts: bool) -> Keeper:
    """Return the keeper of a configuration; `counting` gets statuses, with `counts` also records.

    Raises `LedgerError` or OSError if the ledger cannot be used.
    """
    ledger = config.ledger
    folder = ensure_private(config.data_dir / "ledger")
    store: Store = NoStore()
    if ledger.enabled:
        store = LedgerWriter(folder, ledger.keep, ledger.size)
    export = _export(config)
    sinks: list[Sink] = [] if export is None else [lambda kept: export.send(_readable(kept.bodies))]
    if counts:
        sinks.append(lambda kept: counting.count(kept.extracts, kept.shapes))

    def every() -> None:
        if export is not None:
            export.flush()  # lines that the other end did not take
        try:
            write_report(folder / REPORT_FILE, report_of(counting, time.time()))
        except OSError as error:
            _log.error("state not written", problem=str(error))

    webhooks = _webhooks(config)
    if webhooks is not None:
        sinks.append(lambda kept: webhooks.send(_readable(kept.bodies)))

    def on_end() -> None:
        if webhooks is not None:
            webhooks.close(WEBHOOK_STOP)

    return Keeper(store, sinks, on_status=_status_counter(counting), every=every, on_end=on_end)


def _readable(bodies: Iterable[bytes]) -> Iterator[Record]:
    """Yield whole records; the ledger has only their extracts."""
    for body in bodies:
        with suppress(RecordError):
            yield decode_record(body)


def _export(config: Config) -> Export | None:
    scheme, _, path = config.ledger.export.partition(":")
    return Export(f"{scheme}:{config.path(path)}") if path else None


def _webhooks(config: Config) -> "WebhookSender | None":
    """Return the sender of records to URLs, None without any; a webhook with a fault is logged."""
    if not config.webhook:
        return None
    from gatepost.ledger.webhook import Hook, WebhookSender  # noqa: PLC0415 - few servers use it

    hooks: list[Hook] = []
    for one in config.webhook:
        try:
            secret = read_secret(config.path(one.secret_file))
        except ValueError as error:
            _log.error("webhook not used", problem=str(error))
        else:
            hooks.append(Hook(one.url, frozenset(one.events), secret.encode()))
    try:
        return WebhookSender(hooks) if hooks else None
    except ModuleNotFoundError:
        _log.error("webhook not used", problem="pip install 'gatepost[http]'")
        return None


def _status_counter(counting: Counting) -> Callable[[bytes], None]:
    def count(data: bytes) -> None:
        try:
            counting.status(decode(data))
        except StatusError as error:
            _log.error("batch not readable", problem=str(error), octets=len(data))

    return count
