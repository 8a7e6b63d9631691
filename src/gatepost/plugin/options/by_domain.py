"""The options of one plugin: those in general, and those for the recipients of some domains.

    [[plugin]]
    use = "greylist"
    options = { delay = "5m" }
    [plugin.options_for."example.com"]
    delay = "0s"

The options of a domain are complete: those that its table does not give are those in general. Both
are of the same class and checked in the same way. Domains are compared in canonical form.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import msgspec

from gatepost.config.problem import Location, Problem, format_value
from gatepost.lists.reloadable import ReloadableFile
from gatepost.model.address import Address, domain_key
from gatepost.model.session import Recipient
from gatepost.plugin.options.reader import (
    OptionsError,
    list_files,
    missing_files,
    read_options,
    table_problems,
)
from gatepost.plugin.place import Place

_Options = TypeVar("_Options", bound=msgspec.Struct)

# The keyword argument of a plugin, and the key in `[[plugin]]`.
OPTIONS_FOR = "options_for"


class OptionsByDomain(Generic[_Options]):
    """The options of a plugin, of the class `options`; raises `OptionsError`.

    `given` are those in general, `given_for` those of domains. `general` and `by_domain` have the
    values; the keys of `by_domain` are canonical.
    """

    __slots__ = ("_places", "by_domain", "general")

    def __init__(
        self,
        given: Mapping[str, Any],
        given_for: Mapping[str, Mapping[str, Any]],
        options: type[_Options],
        place: Place,
    ) -> None:
        _check_tables(given_for, place)
        self.general = read_options(given, options, place)
        self.by_domain: dict[str, _Options] = {}
        self._places: dict[str, Place] = {}
        problems: list[Problem] = []
        for domain, own in given_for.items():
            inside, key = place.for_domain(domain), domain_key(domain)
            try:
                self.by_domain[key] = read_options({**given, **own}, options, inside)
            except OptionsError as error:
                problems += error.problems
            self._places[key] = inside
        if problems:
            raise OptionsError(problems)

    def find(self, domain: Recipient | Address | str) -> _Options:
        """Return the options for a domain, or for that of an address."""
        if not self.by_domain:
            return self.general
        if isinstance(domain, Recipient):
            domain = domain.address
        name = domain.domain if isinstance(domain, Address) else domain
        return self.by_domain.get(domain_key(name), self.general)

    def list_files(self) -> Iterator[ReloadableFile[Any]]:
        """Yield the files of all lists, those that are used several times too."""
        for one in (self.general, *self.by_domain.values()):
            yield from list_files(one)

    def missing_files(self, place: Place) -> Iterator[str]:
        """Yield a problem for each option of the kind `File` whose file does not exist.

        `place` is that of the options in general.
        """
        yield from missing_files(self.general, place)
        for domain, options in self.by_domain.items():
            yield from missing_files(options, self._places[domain], self.general)

    def table_problems(self, place: Place, open_table: Callable[[str], object]) -> Iterator[str]:
        """Open the tables of options; yield a problem for a wrong one, as `missing_files`."""
        yield from table_problems(self.general, place, open_table)
        for domain, options in self.by_domain.items():
            yield from table_problems(options, self._places[domain], open_table, self.general)


def _check_tables(given_for: object, place: Place) -> None:
    """Raise `OptionsError` for options by domain that are no tables; code can give anything."""
    location = Location(place.source)
    location.key = OPTIONS_FOR
    for one in given_for.values() if isinstance(given_for, Mapping) else (given_for,):
        if not isinstance(one, Mapping):
            location.report_mismatch("a table of options for each domain", format_value(one))
    if location.problems:
        raise OptionsError(location.problems)
