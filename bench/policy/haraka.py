"""Haraka with the same checks: its plugins spf, dkim, dns-list, greylist, karma, and a Redis.

Differences: Haraka has no DMARC without a server in Perl. `karma` is its reputation. It logs one
line for each connection (level notice). Its resolvers take no port, so a script sets them.
"""

from __future__ import annotations

import contextlib
import json
import re
from typing import TYPE_CHECKING

from tools import peers
from tools.daemon import HOST, free_port

from bench.policy.client import wait_until_ready
from bench.policy.redis import redis
from bench.policy.senders import LISTS
from bench.policy.server import Need, Server
from bench.process import BenchError, process

if TYPE_CHECKING:
    from collections.abc import Iterator

FILES = {
    "config/smtp.ini": "listen={host}:{port}\nnodes=0\n",
    "config/log.ini": "[main]\nlevel=notice\nformat=default\n",
    "config/connection.ini": """\
[haproxy]
hosts[] = 127.0.0.0/8
[message]
helo=bench.example
close=closing connection
[headers]
add_received=true
max_lines=1000
max_received=100
[max]
bytes=26214400
mime_parts=1000
line_length=512
data_line_length=992
[uuid]
banner_chars=6
deny_chars=0
""",
    "config/me": "bench.example\n",
    "config/plugins": "redis\nkarma\ndns-list\nspf\ndkim\ngreylist\nbench\n",
    "config/host_list": "bench.example\n",
    "config/redis.ini": """\
[server]
host={host}
port={redis}
[pubsub]
host={host}
port={redis}
""",
    "config/dns-list.ini": "[main]\nperiodic_checks=30\nsearch=all\n{lists}",
    "config/dkim.ini": "[sign]\nenabled=false\n[verify]\nenabled=true\n",
    "config/spf.ini": "[deny]\nmfrom_fail=true\n",
    "config/greylist.ini": """\
[redis]
host={host}
port={redis}
db=11
[skip]
[period]
black=1
grey=90000
white=3024000
""",
    "config/karma.ini": """\
[redis]
host={host}
port={redis}
expire_days=60
[asn]
enable=false
[thresholds]
negative=-8
positive=2
history_negative=-3
[deny]
hooks=data_post,queue
[deny_excludes]
plugins=
hooks=rcpt,queue
""",
    "plugins/bench.js": """\
'use strict';
let left = 40;
exports.hook_lookup_rdns = (next) => next(OK, 'client.example');
exports.hook_rcpt = (next) => next(OK);
exports.hook_queue = (next, connection) => {{
  if (left-- > 0) {{
    const lists = connection.results.get('dns-list') || {{}};
    const notes = connection.transaction.notes.authentication_results;
    const seen = JSON.stringify({{ auth: notes || [], lists: lists.pass }});
    process.stdout.write(`bench: ${{seen}}\\n`);
  }}
  next(OK);
}};
""",
    "resolver.js": """\
'use strict';
const dns = require('node:dns');
const servers = ['{host}:{dns}'];
for (const api of [dns, dns.promises]) {{
  const Original = api.Resolver;
  api.setServers(servers);
  api.Resolver = class extends Original {{
    constructor(options) {{ super(options); this.setServers(servers); }}
  }};
}}
""",
}


@contextlib.contextmanager
def haraka(need: Need) -> Iterator[Server]:
    """Run Haraka in one process, and a Redis."""
    command = peers.find("haraka")
    if command is None:
        raise BenchError(peers.missing(["haraka"])["haraka"])
    port, log = free_port(), need.folder / "log"
    lists = "".join(f"zones[]={name}\n" for name in LISTS)
    with redis(need.folder) as store:
        for name, text in FILES.items():
            path = need.folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(
                text.format(host=HOST, port=port, redis=store.port, dns=need.dns, lists=lists)
            )
        argv = [command.prefix[0], "--require", str(need.folder / "resolver.js")]
        argv += [*command.prefix[1:], "-c", str(need.folder)]
        with process("haraka", argv, command.env, log) as starting:
            wait_until_ready(starting, port)
            parts = {"haraka": starting.child.pid, "redis": store.pid}
            yield Server("haraka", port, parts, lambda: passed(log.read_text(errors="replace")))


def passed(log: str) -> dict[str, int]:
    """Return how many of the first messages have passed each check."""
    found = dict.fromkeys(("spf", "dkim", "dnsbl"), 0)
    for text in re.findall(r"^bench: (.*)$", log, re.MULTILINE):
        seen = json.loads(text)
        notes = " ".join(seen["auth"])
        found["spf"] += "spf=pass smtp.mailfrom" in notes
        found["dkim"] += "dkim=pass" in notes
        found["dnsbl"] += set(LISTS) <= set(seen.get("lists") or ())
    return found
