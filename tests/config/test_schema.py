"""The schema agrees with the code that uses it: no value is listed twice without a test."""

import tomllib
from typing import get_args

import pytest

from gatepost.auth import authority
from gatepost.config.client import ClientConfig
from gatepost.config.kinds import ArrayKind, ScalarKind, TableKind, choice, keys, to_toml
from gatepost.config.problem import Location
from gatepost.config.schema import (
    ASKING,
    AuthConfig,
    Config,
    ListenConfig,
    PluginConfig,
    TrapsConfig,
)
from gatepost.model.reply import Reply
from gatepost.net.client_tls import Mode
from gatepost.net.tls import MODES
from gatepost.plugin.chain import ON_ERROR
from gatepost.server.protocols import PROTOCOLS
from gatepost.session.dialect import DIALECTS


def structs(struct):
    yield struct
    for _, key in keys(struct):
        kind = key.kind.of if isinstance(key.kind, ArrayKind) else key.kind
        if isinstance(kind, TableKind):
            yield from structs(kind.struct)


STRUCTS = list(structs(Config))


def words(struct, name):
    """The choices of a key, from its type."""
    (found,) = (field for field, _ in keys(struct) if field.encode_name == name)
    return get_args(get_args(found.type)[0])


@pytest.mark.parametrize("struct", STRUCTS)
def test_the_words_of_a_choice_are_those_of_its_type(struct):
    for field, key in keys(struct):
        literal = get_args(get_args(field.type)[0])
        if literal and all(isinstance(word, str) for word in literal):
            assert key.kind.expected == choice(*literal).expected, field.name


def test_every_protocol_has_an_implementation():
    assert set(words(ListenConfig, "protocol")) == set(DIALECTS) == set(PROTOCOLS)


def test_without_a_route_the_mail_server_that_asks_delivers():
    delivering = {name for name, dialect in DIALECTS.items() if dialect.delivers}
    assert set(words(ListenConfig, "protocol")) - ASKING == delivering


def test_the_tls_modes_of_listeners_are_those_of_the_tls_module():
    assert words(ListenConfig, "tls") == ("none", *MODES)


def test_the_tls_modes_of_clients_are_those_of_the_tls_module():
    assert words(ClientConfig, "tls") == get_args(Mode)


def test_every_mechanism_has_an_implementation():
    assert set(AuthConfig().mechanisms) == set(authority._MECHANISMS)


def test_every_result_of_a_failed_plugin_has_a_decision():
    assert set(words(PluginConfig, "on_error")) == set(ON_ERROR)


def written_defaults():
    for struct in STRUCTS:
        for field, key in keys(struct):
            inner = key.kind.of if isinstance(key.kind, ArrayKind) else key.kind
            absent = field.required or field.default is None
            if isinstance(inner, ScalarKind) and not absent:
                yield pytest.param(key.kind, field.default, id=f"{struct.__name__}.{field.name}")


@pytest.mark.parametrize(("kind", "default"), list(written_defaults()))
def test_a_default_in_toml_syntax_is_read_as_the_default(kind, default):
    value = tomllib.loads(f"value = {to_toml(kind, default)}")["value"]
    location = Location("test")
    assert kind.read(value, location) == kind.read(default, location)
    assert location.problems == []


def test_toml_syntax():
    (reply,) = (key.kind for field, key in keys(TrapsConfig) if field.name == "reply")
    assert to_toml(reply, Reply(554, "no", "5.7.1")) == '"554 5.7.1 no"'
    names = ArrayKind(choice("*", "a"))
    assert to_toml(names, ("*", "a")) == '["*", "a"]'
    assert to_toml(names, ()) == "[]"
    assert to_toml(TableKind(AuthConfig), {}) == "{}"
    clear = next(key.kind for field, key in keys(AuthConfig) if field.name == "clear")
    assert to_toml(clear, False) == "false"
