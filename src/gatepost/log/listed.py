"""A list as fields of a log line, of limited length: clients decide how long lists are."""

from collections.abc import Collection
from itertools import islice
from typing import Any

LISTED = 5


def listed(name: str, values: Collection[Any], count: int = 0) -> dict[str, Any]:
    """Return the first values as the field `name`; if there are more, add the number of all.

    `count` is the number of all if `values` is only a part of them.
    """
    fields: dict[str, Any] = {name: list(map(str, islice(values, LISTED)))}
    count = max(count, len(values))
    if count > LISTED:
        fields[f"{name}_count"] = count
    return fields
