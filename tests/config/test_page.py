"""docs/configuration.md agrees with the schema."""

import re
import tomllib
from pathlib import Path

from gatepost.config.kinds import ArrayKind, MappingKind, OrFalse, TableKind, keys
from gatepost.config.load import config_from_dict
from gatepost.config.schema import Config

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
SAMPLE = tomllib.loads(re.search(r"(?ms)^```toml\n(.*?)^```$", PAGE)[1])


def schema_keys(struct, prefix=""):
    for field, key in keys(struct):
        path = f"{prefix}{field.encode_name}"
        yield path
        inner = key.kind
        if isinstance(inner, ArrayKind | MappingKind | OrFalse):
            inner = inner.of
        if isinstance(inner, TableKind):
            if isinstance(key.kind, MappingKind):
                path = f"{path}.users"
                yield path
            yield from schema_keys(inner.struct, f"{path}.")


def sample_keys(value, prefix=""):
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, dict):
            for name, inside in item.items():
                yield f"{prefix}{name}"
                yield from sample_keys(inside, f"{prefix}{name}.")


def test_the_complete_sample_has_every_key_of_every_table():
    found = {
        path for path in sample_keys(SAMPLE) if not re.search(r"\.(options(_for)?|table)\.", path)
    }
    assert found == set(schema_keys(Config))


def test_the_complete_sample_has_the_defaults_of_the_queue_and_of_next_hops():
    config = config_from_dict(SAMPLE)
    assert config.queue == Config().queue
    relays = [route.client for route in config.route if route.to.startswith("smtp:")]
    assert relays == [type(relays[0])()]
