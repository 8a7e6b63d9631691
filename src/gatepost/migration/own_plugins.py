"""Plugins of the administrator: the hooks that they register, and the hooks here.

The code is searched for `hook_NAME` and `register_hook("NAME"`, and is not run.

Limits: the first MOST_CODE octets of a plugin.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from gatepost.migration.source import open_regular

MOST_CODE = 1024 * 1024
PAGE = "plugins.md#hooks"

_HOOKS = (
    re.compile(r"^\s*sub\s+hook_(\w+)", re.MULTILINE),
    re.compile(r"\bexports\.hook_(\w+)\s*="),
    re.compile(r"\bregister_hook\s*\(?\s*['\"]([\w-]+)['\"]"),
)
# The hooks of qpsmtpd and Haraka, without the differences between `-` and `_`.
HERE: Mapping[str, str] = {
    "pre_connection": "on_connect",
    "connect": "on_connect",
    "connect_init": "on_connect",
    "lookup_rdns": "on_connect",
    "helo": "on_helo",
    "ehlo": "on_helo",
    "capabilities": "on_ehlo",
    "auth": "on_auth",
    "auth_plain": "on_auth",
    "auth_login": "on_auth",
    "mail": "on_mail",
    "rcpt": "on_rcpt",
    "rcpt_ok": "after_rcpt",
    "data": "on_data",
    "data_headers_end": "on_headers",
    "data_post": "on_message",
    "data_post_headers": "on_message",
    "max_data_exceeded": "on_limit",
    "queue": "on_deliver",
    "queue_pre": "on_deliver",
    "queue_outbound": "on_deliver",
    "queue_post": "on_delivered",
    "queue_ok": "on_delivered",
    "delivered": "on_delivered",
    "reset_transaction": "on_reset",
    "disconnect": "on_disconnect",
    "post_connection": "on_disconnect",
    "unrecognized_command": "on_unknown_command",
    "vrfy": "on_vrfy",
    "noop": "on_noop",
    "help": "on_help",
    "quit": "on_quit",
    "deny": "after_any",
    "ok": "after_any",
    "init_master": "start",
    "init_child": "start",
    "shutdown": "stop",
}


def described(path: Path | None) -> str:
    """Return the hooks of a plugin of one's own, with those here."""
    if path is None:
        return "an unknown plugin, and its file was not found"
    try:
        with open_regular(path) as file:
            hooks = hooks_of(file.read(MOST_CODE).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return "a plugin of your own, which cannot be read"
    if not hooks:
        return "a plugin of your own without a hook that can be recognised"
    pairs = (f"{hook}: {HERE.get(hook.replace('-', '_'), 'no equivalent')}" for hook in hooks)
    return f"a plugin of your own; its hooks, and those here: {', '.join(pairs)}"


def hooks_of(code: str) -> list[str]:
    """Return the names of the hooks in the code of a plugin, each once."""
    found = (name for pattern in _HOOKS for name in pattern.findall(code))
    return list(dict.fromkeys(found))
