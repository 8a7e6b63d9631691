"""The importer of Postfix: a table of programs and their readers."""

from collections.abc import Callable, Mapping

from gatepost.importers.entry import Entry
from gatepost.importers.importer import Importer
from gatepost.importers.open_table import MOST_OPEN
from gatepost.importers.postfix.filters import FILTERS
from gatepost.importers.postfix.messages import Messages
from gatepost.importers.postfix.sessions import Sessions

_AGENTS = ("smtp", "lmtp", "local", "virtual", "pipe", "error")


class PostfixImporter(Importer):
    """Reads the lines of Postfix."""

    def __init__(self, most: int = MOST_OPEN) -> None:
        super().__init__(most)
        self._messages = Messages(self.emit, most)
        self._sessions = Sessions(self.emit, self._messages, most)
        self._readers: Mapping[str, Callable[[Entry], None]] = {
            "smtpd": self._sessions.smtpd,
            "postscreen": self._sessions.postscreen,
            "cleanup": self._messages.cleanup,
            "qmgr": self._messages.qmgr,
            "pickup": self._messages.pickup,
            **dict.fromkeys(_AGENTS, self._messages.delivery),
        }

    def feed(self, entry: Entry) -> bool:
        """Read an entry; return whether it is one of Postfix or of a filter next to it."""
        family, _, component = entry.program.rpartition("/")
        if "postfix" in family:
            self._sessions.open.expire(entry.time)
            self._messages.open.expire(entry.time)
            reader = self._readers.get(component)
            if reader is not None:
                reader(entry)
            return True
        read = FILTERS.get(component)
        if read is not None:
            read(entry.text, self._messages.transaction)
        return read is not None

    def finish(self) -> None:
        """End all sessions and messages."""
        self._sessions.open.finish()
        self._messages.open.finish()

    @property
    def dropped(self) -> int:
        """The number of sessions and messages that were dropped."""
        return self._sessions.open.dropped + self._messages.open.dropped
