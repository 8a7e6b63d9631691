"""The schema of `[[plugin]]`: a plugin, its place in sessions, and its limits."""

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Any, Literal

import msgspec

from gatepost.config import formats
from gatepost.config.kinds import (
    BOOLEAN,
    AnyTable,
    ArrayKind,
    Key,
    MappingKind,
    TableKind,
    choice,
    duration,
    integer,
)
from gatepost.model.address import domain_key


class ConditionsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`only` and `unless` of a `[[plugin]]`: conditions on the session and the message."""

    authenticated: Annotated[
        bool | None,
        Key(BOOLEAN, "Whether the client has logged in.", "Without it, both kinds of clients."),
    ] = None
    networks: Annotated[
        Sequence[IPv4Network | IPv6Network],
        Key(ArrayKind(formats.NETWORK), "The client is in one of these networks."),
    ] = ()
    domains: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.HOSTNAME),
            "A recipient is in one of these domains. At RCPT only the recipient that is being"
            " decided counts, later all accepted ones.",
        ),
    ] = ()
    results: Annotated[
        Mapping[str, Any],
        Key(
            AnyTable(),
            'Results of other plugins by name, such as { spf = "pass" }. The plugins that add'
            " them must run earlier.",
        ),
    ] = msgspec.field(default_factory=dict)


class PluginConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[plugin]]`: one plugin. Plugins are called in the order of the configuration."""

    use: Annotated[
        str,
        Key(
            formats.PLUGIN,
            "The name of a shipped or installed plugin, or the path of a .py file or a folder.",
        ),
    ]
    name: Annotated[
        str,
        Key(
            formats.NAME_OF_OURS,
            "The name of the plugin in logs and replies. Empty: that of its file or folder. Give"
            " names to plugins that are used twice.",
        ),
    ] = ""
    options: Annotated[
        Mapping[str, Any],
        Key(AnyTable(), "The options of the plugin. The plugin defines which options exist."),
    ] = msgspec.field(default_factory=dict)
    options_for: Annotated[
        Mapping[str, Mapping[str, Any]],
        Key(
            MappingKind(formats.HOSTNAME, AnyTable(), domain_key),
            "Options for the recipients of one domain, in a table for each domain. They replace"
            " those of `options`.",
        ),
    ] = msgspec.field(default_factory=dict)
    action: Annotated[
        Literal["enforce", "log"],
        Key(
            choice("enforce", "log"),
            "log: shadow mode. The plugin runs, but what it would decide, edit or change is only"
            " logged, and its failures have no effect.",
            "Try a new rule for a week before it refuses mail.",
        ),
    ] = "enforce"
    on_error: Annotated[
        Literal["defer", "skip", "deny"],
        Key(
            choice("defer", "skip", "deny"),
            "The result if the plugin fails or exceeds its time-out. defer: 451. skip:"
            " continue without it. deny: 554.",
            "A broken plugin must neither let mail through unchecked nor lose mail.",
        ),
    ] = "defer"
    allowed: Annotated[
        Literal["auto", "lift", "keep"],
        Key(
            choice("auto", "lift", "keep"),
            "What `gatepost allow` does to its decisions about allowed mail. lift: they have no"
            " effect. keep: they stay. auto: lift, except for the shipped plugins that find malware"
            " or loops or limit resources.",
            "A partner whose mail is allowed can still send a virus.",
        ),
    ] = "auto"
    timeout: Annotated[
        float | None,
        Key(
            duration("10ms", "5m"),
            "The time that the plugin has at each hook. Without it, limits.hook_timeout.",
            "The time that one plugin spends is not taken from the next.",
        ),
    ] = None
    threads: Annotated[
        int,
        Key(
            integer(1, 256),
            "The threads of a plugin that blocks. They belong to this plugin alone.",
            "More help only if the plugin waits for something else, such as a database.",
        ),
    ] = 4
    listen: Annotated[
        Sequence[str],
        Key(
            ArrayKind(formats.NAME_OF_OURS),
            "The names of the listeners whose sessions the plugin sees. Empty: all.",
        ),
    ] = ()
    only: Annotated[
        ConditionsConfig | None,
        Key(
            TableKind(ConditionsConfig),
            "Call the plugin only if every condition here is met.",
        ),
    ] = None
    unless: Annotated[
        ConditionsConfig | None,
        Key(
            TableKind(ConditionsConfig),
            "Do not call the plugin if one condition here is met.",
        ),
    ] = None
