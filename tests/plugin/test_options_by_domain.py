"""Options of a plugin for the recipients of one domain."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost import Address, AddressList, Duration, File, Plugin, Recipient, Size, deny
from gatepost.config.load import config_from_dict
from gatepost.config.problem import ConfigError
from gatepost.model.address import domain_key
from gatepost.plugin.host import PluginHost
from gatepost.plugin.options.reader import OptionsError
from gatepost.plugin.place import Place
from gatepost.session.assemble import SetupError, load_plugins, missing_plugin_files
from gatepost.testing import play

WHERE = "gatepost.toml: mine: plugin[0]"

PLUGIN = """
from gatepost import AddressList, Duration, File, Plugin, Size, deny

class Mine(Plugin):
    class Options(Plugin.Options):
        most: Size
        delay: Duration = Duration("5m")
        blocked: AddressList = AddressList()
        words: tuple[str, ...] = ()
        file: File | None = None

        def __post_init__(self):
            if self.delay > 3600 and self.most > 100:
                raise ValueError("delay and most are too much")

    def on_rcpt(self, tx, rcpt):
        entry = self.options_for(rcpt).blocked.match(tx.reverse_path)
        return deny(f"blocked by {entry}") if entry else None
"""


class Limits(Plugin):
    class Options(Plugin.Options):
        delay: Duration = Duration("5m")
        most: Size = Size(10)
        blocked: AddressList = AddressList()

    def on_rcpt(self, tx, rcpt):
        return deny("no") if tx.reverse_path in self.options_for(rcpt).blocked else None


@pytest.fixture
def configure(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN)

    def configure(options_for, options=None):
        given = {"most": 1} if options is None else options
        plugin = {"use": "mine.py", "options": given, "options_for": options_for}
        return config_from_dict({"plugin": [plugin]}, tmp_path, source="gatepost.toml")

    return configure


def config_problems(configure, options_for):
    with pytest.raises(ConfigError) as caught:
        configure(options_for)
    return [str(one) for one in caught.value.problems]


def setup_problems(config):
    with pytest.raises(SetupError) as caught:
        load_plugins(config)
    return caught.value.problems


def test_a_domain_has_its_own_values_and_the_others_in_general():
    plugin = Limits(most=5, options_for={"example.com": {"delay": "0s"}})
    own = plugin.options_for("example.com")
    assert (own.delay, own.most) == (0, 5)
    assert type(own) is Limits.Options
    assert plugin.options_for("example.net") is plugin.options
    assert plugin.options.delay == 300


@pytest.mark.parametrize(
    "domain",
    [
        "bücher.example",
        "BÜCHER.example.",
        "XN--bcher-kva.example",
        Address("user", "Bücher.example"),
        Recipient(Address("user", "bücher.EXAMPLE"), {}),
    ],
)
def test_domains_are_compared_in_canonical_form(domain):
    plugin = Limits(options_for={"xn--bcher-kva.EXAMPLE": {"most": 1}})
    assert plugin.options_for(domain).most == 1


@pytest.mark.parametrize("domain", ["sub.example.com", "com", "", Address("", "")])
def test_other_domains_have_the_options_in_general(domain):
    plugin = Limits(options_for={"example.com": {"most": 1}})
    assert plugin.options_for(domain) is plugin.options


@given(st.text())
def test_any_text_is_a_domain_to_ask_for(text):
    plugin = Limits(options_for={"example.com": {"most": 1}})
    expected = 1 if domain_key(text) == "example.com" else 10
    assert plugin.options_for(text).most == expected


def test_the_configuration_gives_options_for_domains(configure):
    [one] = load_plugins(configure({"example.com": {"delay": "1s"}, "[192.0.2.1]": {"most": 7}}))
    assert one.plugin.options_for("example.com").delay == 1
    assert one.plugin.options_for("[192.0.2.1]").most == 7


def test_a_required_option_of_a_domain_is_not_enough(configure):
    [problem] = setup_problems(configure({"example.com": {"most": 1}}, {}))
    expected = 'a size such as "10KB" or "25MiB"'
    assert problem == f"{WHERE}.options.most: expected {expected}, found nothing"


def test_wrong_options_of_all_domains_are_errors_with_their_keys(configure):
    wrong = {
        "example.com": {"dealy": "1s", "words": [1]},
        "example.net": {"most": "many"},
        "example.org": {"delay": "2h", "most": 200},
    }
    names = "most, delay, blocked, words, file"
    assert setup_problems(configure(wrong)) == [
        (
            f'{WHERE}.options_for."example.com".dealy: unknown option; did you mean'
            f' "delay"? The options are: {names}'
        ),
        f'{WHERE}.options_for."example.com".words[0]: expected text, found 1',
        (
            f'{WHERE}.options_for."example.net".most: expected a size such as'
            ' "10KB" or "25MiB", found "many"'
        ),
        f'{WHERE}.options_for."example.org": delay and most are too much',
    ]


@pytest.mark.parametrize(
    ("options_for", "problem"),
    [
        ([], "plugin[0].options_for: expected a table, found an array"),
        ({"example.com": 1}, 'plugin[0].options_for."example.com": expected a table, found 1'),
        (
            {"a.example": {}, "A.Example": {}},
            'plugin[0].options_for."A.Example": this name is there twice, in another spelling',
        ),
        (
            {"user@example.com": {}},
            (
                'plugin[0].options_for."user@example.com": expected a domain name such as'
                ' "mx.example.com" or an address literal such as "[192.0.2.1]", found'
                ' "user@example.com"'
            ),
        ),
    ],
)
def test_what_is_no_table_of_a_domain_is_refused(configure, options_for, problem):
    assert config_problems(configure, options_for) == [f"gatepost.toml: {problem}"]


def test_tables_of_domains_among_the_options_are_refused(configure):
    [problem] = setup_problems(configure({}, {"most": 1, "options_for": {}}))
    assert problem == (
        f"{WHERE}.options.options_for: expected [plugin.options_for.DOMAIN] next to options"
    )


@pytest.mark.parametrize("options_for", [7, {"example.com": 7}])
def test_a_plugin_created_in_code_refuses_what_is_no_table(options_for):
    expected = "expected a table of options for each domain, found 7"
    with pytest.raises(OptionsError, match=expected):
        Limits(options_for=options_for)


def test_a_plugin_created_in_code_names_the_domain_in_errors():
    with pytest.raises(OptionsError, match=r'^Limits: options_for\."example\.com"\.dely: unknown'):
        Limits(options_for={"example.com": {"dely": 1}})


def test_missing_files_of_a_domain_are_named_once(configure, tmp_path):
    config = configure({"a.example": {"file": "gone"}, "b.example": {}}, {"most": 1, "file": "no"})
    assert missing_plugin_files(PluginHost(load_plugins(config))) == [
        f"{WHERE}.options.file: expected a file, found no file {tmp_path / 'no'}",
        (
            f'{WHERE}.options_for."a.example".file: expected a file, found no file'
            f" {tmp_path / 'gone'}"
        ),
    ]


def test_lists_of_domains_are_read_from_files_that_are_shared():
    files = {}

    class Lists(Limits):
        config_place = Place(Path("/etc/gp"), source="gatepost.toml", files=files)

    tables = {"a.example": {"most": 1}, "b.example": {"blocked": ["file:b"]}}
    plugin = Lists(blocked=["file:all"], options_for=tables)
    names = [file.path.name for file in plugin.all_options.list_files()]
    assert names == ["all", "all", "b"]
    assert len(files) == 2


def test_each_domain_has_its_list(configure, tmp_path):
    (tmp_path / "b").write_text("bad@client.example\n")
    config = configure({"b.example": {"blocked": ["file:b"]}})
    play(
        """
        S: 220
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<bad@client.example>
        S: 250
        C: RCPT TO:<user@a.example>
        S: 250
        C: RCPT TO:<user@B.example>
        S: 550 5.7.1 blocked by bad@client.example*
        """,
        plugins=[one.plugin for one in load_plugins(config)],
        config={"recipients": {"domains": ["a.example", "b.example"]}},
    )


def test_file_is_an_option_for_a_domain():
    class Reads(Plugin):
        class Options(Plugin.Options):
            file: File = File("general")

    plugin = Reads(options_for={"example.com": {"file": "own"}})
    assert plugin.options_for("example.com").file == File("own")


def test_without_tables_every_domain_has_the_options_in_general():
    plugin = Limits(most=5)
    assert plugin.options_for("example.com") is plugin.options
