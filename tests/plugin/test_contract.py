"""The declared hook methods, and the check of a plugin against them."""

import inspect

import pytest

from gatepost.plugin.base import Plugin
from gatepost.plugin.contract import FOREIGN, arguments, implemented, problems
from gatepost.plugin.hooks import HOOKS, METHODS
from gatepost.plugin.methods import HookMethods


def plugin(**methods):
    return type("Mine", (Plugin,), methods)()


def found(**methods):
    return [one.text for one in problems(plugin(**methods))]


def test_the_declarations_are_those_of_the_table():
    declared = [name for name in vars(HookMethods) if not name.startswith("_")]
    assert declared == list(METHODS)


@pytest.mark.parametrize("hook", HOOKS)
def test_the_stages_of_a_hook_take_the_same_arguments(hook):
    assert arguments(f"observe_{hook}") == arguments(f"on_{hook}")
    assert arguments(f"after_{hook}") == [*arguments(f"on_{hook}"), "outcome"]


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_typed_described_and_without_effect(name):
    method = getattr(HookMethods, name)
    signature = inspect.signature(method)
    assert "\n" not in method.__doc__
    assert signature.return_annotation is not signature.empty
    assert all(one.annotation is not one.empty for one in list(signature.parameters.values())[1:])
    assert method(HookMethods(), *arguments(name)) is None


def test_start_and_stop_have_no_effect():
    assert Plugin().start() is None
    assert Plugin().stop() is None


def test_only_overridden_methods_count():
    class Base(Plugin):
        def on_rcpt(self, tx, rcpt):
            return None

    class Derived(Base):
        async def after_mail(self, tx, sender, outcome):
            pass

    assert implemented(Plugin) == []
    assert implemented(Derived) == implemented(Derived()) == ["after_mail", "on_rcpt"]


def test_a_method_can_be_set_on_the_instance():
    made = plugin()
    made.on_rcpt = lambda _tx, _rcpt: None
    assert implemented(made) == ["on_rcpt"]
    assert list(problems(made)) == []


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("on_rcpts", "on_rcpt"),
        ("observe_recpt", "observe_rcpt"),
        ("after_reset", "on_reset"),
        ("on_Mail", "on_mail"),
        ("On_rcpt", "on_rcpt"),
        ("onn_rcpt", "on_rcpt"),
        ("onRcpt", "on_rcpt"),
        ("afterUnknownCommand", "after_unknown_command"),
        ("observer_mail", "observe_mail"),
        ("hook_rcpt", "on_rcpt"),
        ("hook_data_post", "on_message"),
        ("handle_RCPT", "on_rcpt"),
        ("handle_DATA", "on_message"),
    ],
)
def test_a_misspelt_hook_is_refused_with_a_suggestion(name, suggestion):
    problem = f"{name} is not a hook, did you mean {suggestion}?"
    assert found(**{name: lambda *_: None}) == [problem]


@pytest.mark.parametrize("name", ["on_error", "after_hours", "observe_x", "on_zzzzzzzzzzzz"])
def test_the_prefixes_are_reserved(name):
    problem = "is not a hook; the prefixes observe_, on_ and after_ are reserved for hooks"
    assert found(**{name: lambda *_: None}) == [f"{name} {problem}"]


@pytest.mark.parametrize(
    "name", ["online", "observed", "handle_data", "parse_mail", "_on_error", "hook_lookup_rdns"]
)
def test_helpers_can_have_other_names(name):
    assert found(**{name: lambda *_: None}) == []


def test_attributes_can_have_any_name():
    assert found(on_board=5, hook_rcpt=None) == []


def test_every_foreign_hook_has_a_counterpart():
    assert set(FOREIGN.values()) <= set(METHODS)


def test_the_number_of_arguments_is_checked():
    class Mine(Plugin):
        def on_rcpt(self, rcpt):
            pass

        async def on_mail(tx, sender):  # noqa: N805 - the mistake
            pass

        def after_data(self, tx):
            pass

        def on_reset():
            pass

        def on_quit(self, session, *, code):
            pass

    assert sorted(one.text for one in problems(Mine())) == [
        "after_data takes (self, tx, outcome), found (self, tx)",
        "on_mail takes (self, tx, sender), found (tx, sender)",
        "on_quit takes (self, session), found (self, session, code=)",
        "on_rcpt takes (self, tx, rcpt), found (self, rcpt)",
        "on_reset takes (self, tx), found ()",
    ]


def test_other_names_defaults_and_variable_arguments_are_fine():
    class Mine(Plugin):
        def on_rcpt(self, transaction, recipient, more=None, *, code=550):
            pass

        def on_mail(self, *args, **options):
            pass

        @staticmethod
        def on_data(tx):
            pass

    assert list(problems(Mine())) == []


def test_variable_arguments_are_shown():
    assert found(on_rcpt=lambda _self, *, _tx, **_more: None) == [
        "on_rcpt takes (self, tx, rcpt), found (_self, _tx=, **_more)"
    ]


def test_a_hook_that_is_not_a_method_is_refused():
    assert found(on_rcpt=5) == ["on_rcpt is not a method"]


def test_a_builtin_without_signature_is_not_checked():
    assert found(on_rcpt=max) == []


def test_a_mistake_has_its_file_and_line():
    class Mine(Plugin):
        def on_rcptt(self):
            pass

        on_reset = 3

        on_mails = print

    line = Mine.on_rcptt.__code__.co_firstlineno
    assert sorted(map(str, problems(Mine()))) == [
        f"{__file__}:{line}: on_rcptt is not a hook, did you mean on_rcpt?",
        "on_mails is not a hook, did you mean on_mail?",
        "on_reset is not a method",
    ]
