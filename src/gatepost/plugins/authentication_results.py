"""Use the results that a mail server in front has found (Authentication-Results, RFC 8601)."""

from collections.abc import Mapping
from itertools import islice

from gatepost import DomainList, Headers, MessageTransaction, NetworkList, Plugin
from gatepost.mailauth.results import MethodResult, ResultsError, parse

# Fields that are read; a message has one or two.
_MOST = 10
# The facts of each method, by the property in the field.
_FACTS: Mapping[str, Mapping[str, str]] = {
    "spf": {"smtp.mailfrom": "mailfrom", "smtp.helo": "helo"},
    "dkim": {"header.d": "domain", "header.s": "selector", "header.b": "signature"},
    "dmarc": {"header.from": "domain"},
    "arc": {"header.oldest-pass": "oldest", "smtp.remote-ip": "ip"},
    "iprev": {"policy.iprev": "ip"},
}


class AuthenticationResults(Plugin):
    """Adds the results of trusted servers to those of this server, before other plugins decide."""

    before = frozenset({"dmarc", "score"})

    class Options(Plugin.Options):
        """Whose fields are used. Both conditions must be met."""

        networks: NetworkList
        """The addresses of the mail servers in front."""
        servers: DomainList
        """Their names in the field (authserv-id)."""

    def on_headers(self, tx: MessageTransaction, headers: Headers) -> None:
        """Read the fields of a message that a trusted server has passed on."""
        if tx.session.peer not in self.options.networks:
            return
        for value in islice(headers.get_all("Authentication-Results"), _MOST):
            self._read(tx, value)

    def _read(self, tx: MessageTransaction, value: str) -> None:
        try:
            found = parse(value)
        except ResultsError as error:
            self.log_for(tx).debug("field not readable", problem=str(error))
            return
        if found.authserv_id in self.options.servers:
            for method in found.methods:
                _add(tx, method)


def _add(tx: MessageTransaction, method: MethodResult) -> None:
    facts = {
        fact: value
        for name, fact in _FACTS.get(method.method, {}).items()
        if (value := method.get(name)) is not None
    }
    if method.method not in _FACTS:
        return
    if method.method == "spf":
        facts["domain"] = (facts.get("mailfrom") or facts.get("helo", "")).rpartition("@")[2]
    tx.results.add(method.method, method.result, reason=method.reason, **facts)
