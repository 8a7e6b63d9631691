"""The Authentication-Results field: RFC 8601. `parse` reads a value, `write` makes a field."""

from gatepost.mailauth.results.parse import ResultsError, parse
from gatepost.mailauth.results.values import AuthenticationResults, MethodResult
from gatepost.mailauth.results.write import write

__all__ = ["AuthenticationResults", "MethodResult", "ResultsError", "parse", "write"]
