"""Facts: structs that plugins read but cannot assign.

A plugin that assigned `session.auth` could open the relay by mistake, and one that removed a
trap hit could hide it. So an assignment raises AttributeError, with the method to use instead, and
so does TypeError for a list. The server itself changes facts with `set_fact` and `keep` only.

Limits: this prevents mistakes. A plugin is Python code in the server's process, and can get around
it.
"""

from typing import Any, Final

import msgspec

from gatepost.model.fact_list import EMPTY, FactList

# Set an attribute of a fact: `set_fact(fact, name, value)`. It costs as much as an assignment.
set_fact: Final = msgspec.structs.force_setattr


def keep(fact: Any, name: str, item: object) -> None:
    """Add an item to a list of facts."""
    found = getattr(fact, name)
    if found is EMPTY:
        set_fact(fact, name, FactList((item,)))
    else:
        list.append(found, item)
