"""A client of live streams, and feeds in the process of a test."""

from typing import NamedTuple

from tests.web.served import TIMEOUT


class Event(NamedTuple):
    name: str
    data: str
    id: str


class Stream:
    """A stream of server-sent events; a browser `starts` it with its cookie."""

    def __init__(self, browser, path, **headers):
        self._connection = browser.connection()
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if browser.cookie:
            fields["Cookie"] = browser.cookie
        self._connection.request("GET", path, headers=fields)
        self._connection.sock.settimeout(TIMEOUT)
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self.last_id = ""

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()

    def close(self):
        self._response.close()
        self._connection.close()

    def text(self):
        """Return the rest of the response."""
        return self._response.read().decode()

    def opened(self):
        """Wait for the beginning of the stream, and return it."""
        assert self.status == 200, self.text()
        assert self._response.readline().startswith(b"retry: ")
        return self

    def next(self):
        """Return the next event with data, None at the end of the stream."""
        fields = {}
        while line := self._response.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name in ("id", "event"):
                fields[name] = value
                if name == "id":
                    self.last_id = value
            elif name == "data" or line == "data:\n":
                fields.setdefault("data", []).append(value)
            elif "data" in fields:
                data = "\n".join(fields["data"])
                return Event(fields["event"], data, fields.get("id", ""))
        return None


async def at_once(work):
    """Run the work of a feed in this thread."""
    return work()
