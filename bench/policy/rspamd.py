"""Postfix with rspamd as milter, and a Redis.

rspamd runs in its cheapest form: one proxy process that checks messages itself. Its modules are
those of the policy and `greylist`, which asks Redis about each message and would defer only mail
with points, and `ratelimit` with limits that are not reached. It has no rules of its own, no
statistics, no fuzzy hashes, no lists of names and no history.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from tools import daemon, peers, postfix
from tools.daemon import HOST, free_port
from tools.rspamd import FILES, SHARE, variables

from bench.policy.redis import redis
from bench.policy.senders import LISTS
from bench.policy.server import Need, Server
from bench.process import POLL, BenchError, process

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "rspamd"
PLUGINS = ("spf", "dmarc", "rbl", "greylist", "ratelimit", "milter_headers")
CONFIG = (
    """\
lua = "{folder}/rules.lua";
options {{
  filters = "dkim";
"""
    + FILES
    + """\
  local_addrs = [192.168.0.0/16, 10.0.0.0/8, 172.16.0.0/12];
  dns {{ nameserver = ["{host}:{dns}:1"]; timeout = 1s; sockets = 16; retransmits = 5; }}
}}
logging {{ type = "file"; filename = "{folder}/rspamd.log"; level = "info"; }}
actions {{ reject = 15; add_header = 6; greylist = 4; }}
redis {{ servers = "{host}:{redis}"; }}
modules {{
{paths}
}}
spf {{ spf_cache_size = 2k; spf_cache_expire = 1d; }}
dkim {{ dkim_cache_size = 2k; dkim_cache_expire = 1d; time_jitter = 6h; trusted_only = false; }}
dmarc {{ }}
greylist {{ expire = 1d; timeout = 5min; key_prefix = "rg"; }}
ratelimit {{
  rates {{ bench {{ selector = "ip"; bucket {{ burst = 1000000; rate = 1000000; }} }} }}
}}
milter_headers {{ use = ["authentication-results", "x-spamd-result"]; }}
rbl {{
  default_unknown = true;
  rbls {{
{lists}
  }}
}}
group "policy" {{
  symbols {{
    R_SPF_ALLOW {{ weight = -0.2; }}
    R_SPF_FAIL {{ weight = 5; }}
    R_DKIM_ALLOW {{ weight = -0.2; }}
    DMARC_POLICY_ALLOW {{ weight = -0.5; }}
    DMARC_POLICY_REJECT {{ weight = 8; }}
{weights}
  }}
}}
worker "rspamd_proxy" {{
  bind_socket = "{host}:{port}";
  milter = yes;
  timeout = 120s;
  upstream "local" {{ default = yes; self_scan = yes; }}
  count = 1;
}}
"""
)
LIST = '    {symbol} {{ rbl = "{name}"; symbol = "{symbol}"; checks = ["from"]; ipv6 = false; }}\n'
WEIGHT = "    {symbol} {{ weight = 6; }}\n"
MAIN = {
    "virtual_mailbox_domains": "bench.example",
    "virtual_transport": "discard:",
    "smtpd_recipient_restrictions": "reject_unauth_destination",
    "in_flow_delay": "0",
    "smtpd_client_connection_count_limit": "0",
    "smtpd_client_connection_rate_limit": "0",
    "milter_default_action": "tempfail",
}
SERVICE = (
    "{host}:{port} inet n - n - - smtpd"
    " -o smtpd_upstream_proxy_protocol=haproxy -o smtpd_milters=inet:{host}:{milter}"
)
# Symbols of rspamd about a message that has passed a check.
PASSED = {"spf": "R_SPF_ALLOW", "dkim": "R_DKIM_ALLOW", "dmarc": "DMARC_POLICY_ALLOW"}


@contextlib.contextmanager
def postfix_rspamd(need: Need) -> Iterator[Server]:
    """Run Postfix, rspamd and Redis."""
    port, log = free_port(), need.folder / "rspamd.log"
    with redis(need.folder) as store, rspamd(need, store.port) as scanner:
        pid, milter = scanner
        service = SERVICE.format(host=HOST, port=port, milter=milter)
        try:
            with postfix.running(MAIN, [service]) as mail:
                parts = {"postfix": mail.pid, "rspamd": pid, "redis": store.pid}
                yield Server(
                    "postfix-rspamd",
                    port,
                    parts,
                    lambda: passed(log.read_text(errors="replace")),
                    mail.is_idle,
                )
        except (peers.UnavailableError, RuntimeError) as error:
            raise BenchError(str(error)) from error


@contextlib.contextmanager
def rspamd(need: Need, store: int) -> Iterator[tuple[int, int]]:
    """Run rspamd; yield its process and the port of its milter."""
    command = peers.find(NAME)
    if command is None:
        raise BenchError(f"rspamd is missing: {peers.missing([NAME])[NAME]}")
    port = free_port()
    (need.folder / "rspamd.conf").write_text(config(need, port, store))
    (need.folder / "rules.lua").write_text("")
    (need.folder / "tld").write_text("com\nexample\n")
    argv = command.argv("-i", "-f", "-c", need.folder / "rspamd.conf", *variables(need.folder))
    with process(NAME, argv, command.env, need.folder / "rspamd.out") as starting:
        while not daemon.accepts(port):
            starting.check()
            time.sleep(POLL)
        yield starting.child.pid, port


def config(need: Need, port: int, store: int) -> str:
    """Return the configuration of rspamd."""
    symbols = [(name, _symbol(name)) for name in LISTS]
    return CONFIG.format(
        folder=need.folder,
        host=HOST,
        port=port,
        dns=need.dns,
        redis=store,
        paths="\n".join(f'  path = "{SHARE}/plugins/{name}.lua";' for name in PLUGINS),
        lists="".join(LIST.format(name=name, symbol=symbol) for name, symbol in symbols),
        weights="".join(WEIGHT.format(symbol=symbol) for _, symbol in symbols),
    )


def passed(log: str) -> dict[str, int]:
    """Return how many messages have passed each check, and how often the lists had an entry."""
    found = {check: log.count(f"{symbol}(") for check, symbol in PASSED.items()}
    return {**found, "dnsbl": sum(log.count(f"{_symbol(name)}(") for name in LISTS)}


def _symbol(zone: str) -> str:
    return zone.partition(".")[0].upper()
