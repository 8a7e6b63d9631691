"""The target `file:`: each message as a pair of files, for programs that look at mail.

NAME.eml has the message as it came, with the header fields added on the way; NAME.json the envelope
and what is known of the client. The JSON is moved into place last, when the message is durable: a
pair is complete when the JSON is there. Names sort by time.

Theory of operation: as in `maildir`, two phases over all folders. What a killed process leaves is
an .eml without its .json and a hidden file; who finds one that is old may remove it.

Trusts the template. Security: names of folders are made safe by `template`; what a client said is
in the JSON as JSON strings, never in a name. Files are for their owner only.
"""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from gatepost.delivery.content import whole
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.files import not_stored, store
from gatepost.delivery.target import Delivery
from gatepost.delivery.template import PathTemplate
from gatepost.disk.batch import FileBatch
from gatepost.disk.durable import DurableFolders, sync_folder
from gatepost.disk.names import UniqueNames
from gatepost.model.address import domain_key
from gatepost.model.session import Recipient, Session, Transaction, TrapHit


class FileTarget:
    """Keeps messages beside their envelopes.

    `template` is a path with fields (see `PathTemplate`) relative to `base`: recipients with the
    same folder share a pair. `hostname` stands for the domain of `<postmaster>` and in file names.
    Raises ValueError for a template that cannot be used.
    """

    def __init__(self, template: str, *, base: Path, hostname: str) -> None:
        self.template = PathTemplate(template, base)
        self._hostname = domain_key(hostname)
        self._names = UniqueNames(hostname)
        self._folders = DurableFolders()

    async def deliver(self, delivery: Delivery) -> None:
        """Store a pair in each distinct folder; raises `DeliveryError`, always temporary."""
        await store("file", partial(self._write_all, delivery))

    def _write_all(self, delivery: Delivery, copies: FileBatch) -> None:
        shares: dict[Path, list[Recipient]] = {}
        for recipient in delivery.recipients:
            folder = self.template.path(mailbox_fields(recipient, self._hostname))
            shares.setdefault(folder, []).append(recipient)
        for folder, recipients in shares.items():
            self._write(copies, folder, delivery, recipients)

    def _write(
        self, copies: FileBatch, folder: Path, delivery: Delivery, recipients: list[Recipient]
    ) -> None:
        self._folders.ensure(folder)
        name = self._names.next()
        envelope = encoded(delivery.transaction, recipients)
        message = folder / f"{name}.eml"
        copies.write(message, whole(delivery.message), message)
        copies.write(folder / f".{name}.json", [envelope], folder / f"{name}.json")
        sync_folder(folder)


def encoded(tx: Transaction, recipients: list[Recipient]) -> bytes:
    """Return the envelope as JSON, one line; raises `DeliveryError` for what is no Unicode."""
    session = tx.session
    envelope = {
        "id": tx.id,
        "received": datetime.fromtimestamp(tx.received, UTC).isoformat(),
        "reverse_path": str(tx.reverse_path),
        "params": tx.params,
        "recipients": [
            {"address": str(one.address), "params": one.params, "user": one.user}
            for one in recipients
        ],
        "trap_hits": list(map(_trap_hit, tx.trap_hits)),
        **_client(session),
    }
    try:
        return msgspec.json.encode(envelope) + b"\n"
    except UnicodeEncodeError as error:
        raise not_stored("file", f"expected an envelope in Unicode: {error}") from error


def _client(session: Session) -> dict[str, Any]:
    return {
        "peer": session.peer,
        "via": session.via,
        "helo": session.helo,
        "protocol": session.protocol,
        "tls": session.tls,
        "auth": session.auth,
    }


def _trap_hit(hit: TrapHit) -> dict[str, Any]:
    return {**msgspec.structs.asdict(hit), "address": str(hit.address)}
