"""The description of an exception: its type, its text, and the file and line of the plugin."""

import json

from gatepost.plugin.failure import describe


def raised(function):
    try:
        function()
    except Exception as error:  # noqa: BLE001 - any exception is described
        return describe(error)
    raise AssertionError


def fail():
    raise KeyError


def test_the_location_is_that_of_the_plugin():
    line = fail.__code__.co_firstlineno + 1
    assert raised(fail) == f"{__file__}:{line}: KeyError"


def test_a_failure_in_the_standard_library_is_located_where_it_was_called():
    def load():
        json.loads("{")

    line = load.__code__.co_firstlineno + 1
    assert raised(load).startswith(f"{__file__}:{line}: JSONDecodeError: Expecting property name")


def test_a_syntax_error_is_located_in_its_source():
    def compile_source():
        compile("x = (", "mine.py", "exec")

    assert raised(compile_source) == "mine.py:1: SyntaxError: '(' was never closed"


def test_an_exception_that_was_not_raised_has_no_location():
    assert describe(ValueError("no")) == "ValueError: no"
