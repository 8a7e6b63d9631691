"""The target `file:`, which writes each message as a pair of files, for programs and for people.

NAME.eml is the message as received, with the header fields added by this server. NAME.json is the
envelope and the client's data. The JSON is moved into place last, when the message is durable: a
pair is complete if the JSON exists. Names sort by time.

Theory of operation: two phases over all folders, as in `maildir`. A killed process leaves an .eml
without its .json, and a hidden file; old ones can be removed.

The template is trusted. Security: `template` makes folder names safe. Data from the client is in
the JSON as JSON strings, never in a name. Only the owner can read the files.
"""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Self

import msgspec

from gatepost.delivery.content import complete
from gatepost.delivery.disk_order import DiskOrder
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.files import not_stored, store_files
from gatepost.delivery.target import Delivery, Target, TargetPath, TargetSpec
from gatepost.delivery.template import PathTemplate
from gatepost.disk.batch import FileBatch
from gatepost.disk.durable import DurableFolders, sync_folder
from gatepost.disk.names import UniqueNames
from gatepost.model.address import domain_key
from gatepost.model.session import Recipient, Session, Transaction, TrapHit


class FileTarget(Target):
    """Writes messages and their envelopes.

    `template` is a path with fields (see `PathTemplate`) relative to `base`: recipients with the
    same folder share a pair. `hostname` is the domain of `<postmaster>` and is in file names. Raise
    ValueError for an invalid template.
    """

    def __init__(self, template: str, *, base: Path, hostname: str) -> None:
        self._template = PathTemplate(template, base)
        self._hostname = domain_key(hostname)
        self._names = UniqueNames(hostname)
        self._folders = DurableFolders()
        self._order = DiskOrder()

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `file:TEMPLATE`."""
        return cls(spec.text, base=spec.base, hostname=spec.hostname)

    async def deliver(self, delivery: Delivery) -> None:
        """Store a pair in each distinct folder; raise `DeliveryError`, always temporary."""
        write = partial(self._write_all, delivery)
        await store_files("file", write, self._order, first=delivery.is_first)

    def paths(self) -> tuple[TargetPath, ...]:
        """Return the folder that contains all others."""
        return (TargetPath("folder", self._template.fixed),)

    def _write_all(self, delivery: Delivery, copies: FileBatch) -> None:
        shares: dict[Path, list[Recipient]] = {}
        for recipient in delivery.recipients:
            folder = self._template.path(mailbox_fields(recipient, self._hostname))
            shares.setdefault(folder, []).append(recipient)
        for folder, recipients in shares.items():
            self._write(copies, folder, delivery, recipients)

    def _write(
        self, copies: FileBatch, folder: Path, delivery: Delivery, recipients: list[Recipient]
    ) -> None:
        self._folders.ensure(folder)
        name = self._names.next()
        envelope = encode_envelope(delivery.transaction, recipients)
        message = folder / f"{name}.eml"
        copies.write(message, complete(delivery.message), message)
        copies.write(folder / f".{name}.json", [envelope], folder / f"{name}.json")
        sync_folder(folder)


def encode_envelope(tx: Transaction, recipients: list[Recipient]) -> bytes:
    """Return the envelope as a line of JSON; raise `DeliveryError` if it is not valid Unicode."""
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
