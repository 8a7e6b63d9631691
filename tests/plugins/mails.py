"""Transcripts of mail for the tests of plugins about content, and clients that are trusted."""

from email import message_from_bytes

from gatepost import Plugin, accept

DOMAINS = {"recipients": {"domains": ["example.com"]}}
LOGIN_CONFIG = {
    **DOMAINS,
    "listen": [{"address": "127.0.0.1:0", "auth": True}],
    "auth": {"clear": True},
    "route": [{"for": ["*"], "to": "discard:"}],
}
RELAY_CONFIG = {
    **DOMAINS,
    "route": [{"for": ["*"], "to": "discard:", "relay_for": ["192.0.2.0/24"]}],
}
RELAY_PEER = ("192.0.2.9", 50000)
_LOGIN = "C: AUTH PLAIN AGFsaWNlAHNlY3JldA==\nS: 235\n"


class Login(Plugin):
    """Accepts every password."""

    def on_auth(self, session, attempt):
        return accept()


class Results(Plugin):
    """Adds results at the header, as the plugins do that run before."""

    before = frozenset({"mark", "headers_add", "subject_tag", "score"})

    def __init__(self, *results):
        super().__init__()
        self.results = results

    def on_headers(self, tx, headers):
        for name, value, score in self.results:
            tx.results.add(name, value, score=score)


class Seen(Plugin):
    """Keeps a result, and the edits and the signatures that they break."""

    def __init__(self, name):
        super().__init__()
        self.of = name
        self.result = None

    def after_message(self, tx, outcome):
        self.result = tx.results.get(self.of)
        self.edits = [str(one) for one in tx.message.edits]
        self.broken = list(tx.message.broken_signatures)


def transcript(
    lines, *, sender="a@client.example", to=("b@example.com",), end="S: 250", login=False
):
    """Return a dialogue that sends the lines of a message; with `login` after AUTH."""
    rcpts = "\n".join(f"C: RCPT TO:<{one}>" for one in to)
    replies = "\n".join(["S: 250"] * (1 + len(to)))
    sent = "\n".join(f"C: {'.' * line.startswith('.')}{line}" for line in lines)
    return (
        f"S: 220\nC: EHLO client.example\nS: 250\n{_LOGIN if login else ''}"
        f"C: MAIL FROM:<{sender}>\n{rcpts}\nC: DATA\n{replies}\nS: 354\n{sent}\nC: .\n{end}\n"
    )


def delivered(played):
    """Return the one message that was accepted, parsed."""
    (message,) = played.messages
    return message_from_bytes(message.content)
