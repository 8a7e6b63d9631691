"""The servers that are measured with TLS; Postfix replaces smtp-sink."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tools import postfix as real_postfix
from tools.peers import UnavailableError

from bench.process import BenchError, Running
from bench.servers import Setup, aiosmtpd, gatepost, gatepost_pure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def postfix(setup: Setup) -> Iterator[Running]:
    """Run Postfix with TLS; it queues every message and then discards it."""
    tls = setup.tls
    assert tls is not None
    main = {
        "smtpd_tls_chain_files": f"{tls.key}, {tls.cert}",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_wrappermode": "yes" if tls.mode == "implicit" else "no",
        "virtual_mailbox_domains": "bench.example",
        "virtual_transport": "discard:",
        "in_flow_delay": "0",
    }
    started_at = time.monotonic()
    try:
        with real_postfix.running(main) as mail:
            yield Running("postfix", mail.pid, mail.port, time.monotonic() - started_at)
    except (UnavailableError, RuntimeError) as error:
        raise BenchError(str(error)) from error


TLS_SERVERS: dict[str, Callable[[Setup], contextlib.AbstractContextManager[Running]]] = {
    "gatepost": gatepost,
    "gatepost-pure": gatepost_pure,
    "postfix": postfix,
    "aiosmtpd": aiosmtpd,
}
