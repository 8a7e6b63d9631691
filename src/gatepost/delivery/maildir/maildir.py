"""The target `maildir:`: one file per message in a folder per recipient.

The format is D. J. Bernstein's (https://cr.yp.to/proto/maildir.html): write in tmp/, fsync, move
to new/. Success is said when the file, its name in new/ and every folder on the way are fsynced.

Theory of operation: two phases over all folders. First each gets its copy in tmp/, written and
fsynced – here disks fill up. Then all are moved, and the new/ folders fsynced. A failure anywhere
takes every copy back. A process killed in the first phase leaves files in tmp/ only, which no
reader looks at and which readers remove after 36 hours. Killed in the second, the copies that were
moved stay: the client had no answer and sends again, a duplicate but no loss. Likewise where a
reader moved a message out of new/ before a failure could take it back.

A file is Return-Path (RFC 5321 section 4.4), the header fields added on the way and the content
byte for byte: line ends stay CRLF, and a Return-Path the sender wrote stays where it was.
Recipients that share a folder (user and user+tag) share one copy. Its name in new/ ends in its size
(`,S=1234`), as Maildir++ has it, so that nobody needs to ask the disk for it.

A Maildir without room (see `quota`) is left out; the others get their copies.

A cancelled delivery is taken back unless its second phase has begun.

Trusts the template and the name of the folder inside. Security: names are made safe by `template`;
files are for their owner only.
"""

from __future__ import annotations

import re
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path

from gatepost.delivery.content import octets, whole
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.files import not_stored, store
from gatepost.delivery.maildir.count import UNCOUNTED
from gatepost.delivery.maildir.maildirsize import Limits
from gatepost.delivery.maildir.quota import OverQuotaError, Quota
from gatepost.delivery.target import Delivery, DeliveryError, Failures
from gatepost.delivery.template import PathTemplate
from gatepost.disk.batch import FileBatch
from gatepost.disk.durable import DurableFolders, ensure_file
from gatepost.disk.names import UniqueNames
from gatepost.model.address import Address, domain_key
from gatepost.model.session import Recipient

SUBFOLDERS = ("tmp", "new", "cur")
# The empty file by which Maildir++ tells a folder of a Maildir from a Maildir.
FOLDER_MARK = "maildirfolder"
UNLIMITED = Limits()

_IMPURE = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")


class Maildir:
    """Delivers into Maildirs.

    `template` is a path with fields (see `PathTemplate`) relative to `base`: `{local}` and its
    other name `{user}` are the local part in lower case without subaddress, `{domain}` the domain
    in lower case and A-labels. `hostname` stands for the domain of `<postmaster>` and in file
    names; `executor` runs the disk work, by default the event loop's own. `inner` is the folder
    inside the Maildir that mail goes to, as Maildir++ names it (`.Junk`), "" the inbox; `limits`
    are those of each Maildir with all its folders. Raises ValueError for a template that cannot be
    used, and for limits where mail goes to a folder that does not count.
    """

    def __init__(
        self,
        template: str,
        *,
        base: Path,
        hostname: str,
        executor: Executor | None = None,
        inner: str = "",
        limits: Limits = UNLIMITED,
    ) -> None:
        self.template = PathTemplate(template, base)
        self._hostname = domain_key(hostname)
        self._names = UniqueNames(hostname)
        self._folders = DurableFolders()
        self._executor = executor
        self._inner = inner
        self._quota = Quota(limits, self._names) if any(limits) else None
        if self._quota and inner == UNCOUNTED:
            raise ValueError(f"expected no quota: Maildir++ does not count {UNCOUNTED}")

    def folder(self, recipient: Recipient) -> Path:
        """Return the Maildir of this recipient; it need not exist."""
        return self.template.path(mailbox_fields(recipient, self._hostname))

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Store one copy in each distinct folder; see `Target`.

        Raises `DeliveryError`, always temporary, where the disk has it for nobody; returns those
        whose Maildir is full.
        """
        return await store("maildir", partial(self._write_all, delivery), self._executor)

    def _write_all(self, delivery: Delivery, copies: FileBatch) -> Failures | None:
        shares: dict[Path, list[Recipient]] = {}
        for recipient in delivery.recipients:
            shares.setdefault(self.folder(recipient), []).append(recipient)
        failures: dict[Recipient, DeliveryError] = {}
        for root, recipients in shares.items():
            try:
                self._write(copies, root, delivery)
            except OverQuotaError as error:
                failures |= dict.fromkeys(recipients, error)
        return failures or None

    def _ready(self, root: Path) -> Path:
        """Make what a Maildir lacks; return the folder in it that mail goes to."""
        self._make(root)
        if not self._inner:
            return root
        inner = root / self._inner
        self._folders.ensure(inner)
        ensure_file(inner / FOLDER_MARK)
        self._make(inner)
        return inner

    def _make(self, folder: Path) -> None:
        for name in SUBFOLDERS:
            self._folders.ensure(folder / name)

    def _write(self, copies: FileBatch, root: Path, delivery: Delivery) -> None:
        folder = self._ready(root)
        trace = return_path(delivery.transaction.reverse_path)
        size = len(trace) + octets(delivery.message)
        if self._quota:
            copies.add_reservation(self._quota.reserve(root, size))
        copy = chain((trace,), whole(delivery.message))
        name = self._names.next()
        copies.write(folder / "tmp" / name, copy, folder / "new" / f"{name},S={size}")


def return_path(reverse_path: Address) -> bytes:
    """Return the trace field of final delivery, RFC 5321 section 4.4; raises `DeliveryError`."""
    path = str(reverse_path)
    if _IMPURE.search(path):
        raise not_stored(
            "maildir", f"expected a reverse-path without control characters, found {path!r}"
        )
    return f"Return-Path: <{path}>\r\n".encode()
