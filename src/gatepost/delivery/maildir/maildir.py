"""The target `maildir:`, which writes a file for each message in a folder for each recipient.

The format is D. J. Bernstein's (https://cr.yp.to/proto/maildir.html): write in tmp/, fsync, move
to new/. Delivery succeeds when the file, its name in new/ and all parent folders are fsynced.

Theory of operation: two phases over all folders. First, each folder gets its copy in tmp/, written
and fsynced: a full disk shows here. Then all copies are moved and the new/ folders are fsynced. A
failure removes every copy. A process killed in the first phase leaves files in tmp/ only; no reader
looks there, and readers remove them after 36 hours. If it is killed in the second phase the moved
copies stay. The client got no reply and sends again: a duplicate, but no loss. The same happens if
a reader moves a message out of new/ before a failure can remove it.

A file is Return-Path (RFC 5321 section 4.4), the header fields added by this server and the content
octet for octet: line ends stay CRLF. Only Return-Path fields of the client are removed. Its name in
new/ ends in its size (`,S=1234`), the Maildir++ convention, so that no reader has to ask the disk
for it. Recipients that share a folder (user and user+tag) share one copy. An X-Original-To field,
as in Postfix, names each of them with a tag, because the folder's name is without it. It is not
Delivered-To, in which forwarding programs detect loops.

A Maildir without room (see `quota`) is left out; the others get their copies.

A cancelled delivery is undone, unless its second phase has started.

The template and the name of the inner folder are trusted. Security: `template` makes names safe.
Only the owner can read the files.
"""

import re
from concurrent.futures import Executor
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Self

from gatepost.config.schema import MaildirConfig
from gatepost.delivery.content import for_mailbox
from gatepost.delivery.disk_order import DiskOrder
from gatepost.delivery.fields import mailbox_fields
from gatepost.delivery.files import not_stored, store_files
from gatepost.delivery.maildir.count import UNCOUNTED
from gatepost.delivery.maildir.maildirsize import QuotaLimits
from gatepost.delivery.maildir.quota import OverQuotaError, Quota
from gatepost.delivery.target import (
    Delivery,
    DeliveryError,
    Failures,
    Target,
    TargetPath,
    TargetSpec,
)
from gatepost.delivery.template import PathTemplate
from gatepost.disk.batch import FileBatch
from gatepost.disk.durable import DurableFolders, ensure_file
from gatepost.disk.names import UniqueNames
from gatepost.model.address import Address, domain_key, local_key
from gatepost.model.session import Recipient

SUBFOLDERS = ("tmp", "new", "cur")
# The empty file that marks a folder of a Maildir++, as opposed to a Maildir.
FOLDER_MARK = "maildirfolder"
UNLIMITED = QuotaLimits()

_IMPURE = re.compile(r"[\0-\x1f\x7f\ud800-\udfff]")


class MaildirTarget(Target):
    """Delivers to Maildirs.

    `template` is a path with fields (see `PathTemplate`) relative to `base`. `hostname` is the
    domain of `<postmaster>` and is in file names. `executor` runs the disk work (None: the event
    loop's default). `inner` is the folder inside the Maildir that gets the mail, as Maildir++ names
    it (`.Junk`), "" the inbox. `limits` apply to each Maildir with all its folders. Raise
    ValueError for an invalid template, and for limits on a folder that Maildir++ does not count.
    """

    options_table = "maildir"

    def __init__(
        self,
        template: str,
        *,
        base: Path,
        hostname: str,
        executor: Executor | None = None,
        inner: str = "",
        limits: QuotaLimits = UNLIMITED,
    ) -> None:
        self._template = PathTemplate(template, base)
        self._hostname = domain_key(hostname)
        self._names = UniqueNames(hostname)
        self._folders = DurableFolders()
        self._executor = executor
        self._order = DiskOrder()
        self._inner = inner
        self._quota = Quota(limits, self._names) if any(limits) else None
        if self._quota and inner == UNCOUNTED:
            raise ValueError(f"expected no quota: Maildir++ does not count {UNCOUNTED}")

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `maildir:TEMPLATE`."""
        options: MaildirConfig = spec.options
        return cls(
            spec.text,
            base=spec.base,
            hostname=spec.hostname,
            inner=options.folder,
            limits=QuotaLimits(options.quota, options.quota_messages),
        )

    def folder(self, recipient: Recipient) -> Path:
        """Return the Maildir of this recipient; it may not exist."""
        return self._template.path(mailbox_fields(recipient, self._hostname))

    async def deliver(self, delivery: Delivery) -> Failures | None:
        """Store one copy in each distinct folder.

        Return the recipients whose Maildir is full. Raise `DeliveryError`, always temporary, if
        the disk fails.
        """
        return await store_files(
            "maildir",
            partial(self._write_all, delivery),
            self._order,
            first=delivery.is_first,
            executor=self._executor,
        )

    def paths(self) -> tuple[TargetPath, ...]:
        """Return the folder that contains all Maildirs."""
        return (TargetPath("folder", self._template.fixed),)

    def _write_all(self, delivery: Delivery, copies: FileBatch) -> Failures | None:
        shares: dict[Path, list[Recipient]] = {}
        for recipient in delivery.recipients:
            shares.setdefault(self.folder(recipient), []).append(recipient)
        failures: dict[Recipient, DeliveryError] = {}
        for root, recipients in shares.items():
            try:
                self._write(copies, root, delivery, recipients)
            except OverQuotaError as error:
                failures |= dict.fromkeys(recipients, error)
        return failures or None

    def _prepare(self, root: Path) -> Path:
        """Make the missing folders of a Maildir; return the one that gets the mail."""
        self._make_subfolders(root)
        if not self._inner:
            return root
        inner = root / self._inner
        self._folders.ensure(inner)
        ensure_file(inner / FOLDER_MARK)
        self._make_subfolders(inner)
        return inner

    def _make_subfolders(self, folder: Path) -> None:
        for name in SUBFOLDERS:
            self._folders.ensure(folder / name)

    def _write(
        self, copies: FileBatch, root: Path, delivery: Delivery, recipients: list[Recipient]
    ) -> None:
        folder = self._prepare(root)
        trace = return_path(delivery.transaction.reverse_path)
        trace += b"".join(map(original_to, recipients))
        pieces, size = for_mailbox(delivery.message)
        size += len(trace)
        if self._quota:
            copies.add_reservation(self._quota.reserve(root, size))
        copy = chain((trace,), pieces)
        name = self._names.next()
        copies.write(folder / "tmp" / name, copy, folder / "new" / f"{name},S={size}")


def return_path(reverse_path: Address) -> bytes:
    """Return the trace field of final delivery (RFC 5321 section 4.4); raise `DeliveryError`."""
    path = str(reverse_path)
    if _IMPURE.search(path):
        raise not_stored(
            "maildir", f"expected a reverse-path without control characters, found {path!r}"
        )
    return f"Return-Path: <{path}>\r\n".encode()


def original_to(recipient: Recipient) -> bytes:
    """Return the field that names a recipient with a tag, nothing for others."""
    address = recipient.address
    tagged = recipient.user not in ("", local_key(address.local))
    if not tagged or _IMPURE.search(str(address)):
        return b""
    return f"X-Original-To: {address}\r\n".encode()
