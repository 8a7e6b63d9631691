"""A list as fields of a log line, of limited length: clients decide how long lists are."""

from collections.abc import Collection
from typing import Any

LISTED = 5


def listed(name: str, values: Collection[Any]) -> dict[str, Any]:
    """Return the first values as the field `name`; if there are more, add the number of all."""
    shown = [str(value) for _, value in zip(range(LISTED), values, strict=False)]
    fields: dict[str, Any] = {name: shown}
    if len(values) > LISTED:
        fields[f"{name}_count"] = len(values)
    return fields
