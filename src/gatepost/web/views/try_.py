"""The view Try: what would happen to an envelope or a message, now and with another configuration.

The words are those of `gatepost try`, and of `gatepost explain` for the decision.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import tzinfo
from typing import NamedTuple

from gatepost.checks.trial.differences import FINDING, RESULT, Difference
from gatepost.checks.trial.envelope import PROTOCOLS
from gatepost.checks.trial.listing import facts, first_line, outcome, verdict
from gatepost.checks.trial.result import TrialStep
from gatepost.config.schema import Config
from gatepost.ledger.words.explain import Section, sections
from gatepost.ledger.words.story import stories
from gatepost.web.configurations import change_of, names_of
from gatepost.web.filters import Filters
from gatepost.web.source import Source
from gatepost.web.table import Column, Row, Table, Value
from gatepost.web.trials import SECONDS, Side, Tried, most_octets
from gatepost.web.views.try_form import TryForm
from gatepost.web.views.view import Shown

STEPS = (
    Column("hook", "At"),
    Column("about", "Argument"),
    Column("by", "Decided by"),
    Column("answer", "Decision"),
    Column("reply", "Reply"),
)
OPINIONS = (
    Column("hook", "At"),
    Column("about", "Argument"),
    Column("plugin", "Plugin"),
    Column("opinion", "Opinion"),
    Column("seconds", "Time", "seconds"),
)
COMPARED = (Column("state", "State", "result"), Column("hook", "At"), Column("about", "Argument"))
FINDINGS = (Column("what", "Finding"),)
_NO_OPINION = "No plugin was asked."
_NO_FINDING = "No plugin found or changed anything, and no trap was hit."
# Parts of an explanation that are about a decision.
_WHY = ("Why", "What would have to change for the other outcome")
_NOT_HOOKS = {RESULT: "Result", FINDING: "Finding"}
_NONE = "nothing"
_TABLES = ("steps", "opinions", "findings")
_NOW = "With the configuration of the server"
# The end of the names of the tables of the other configuration.
_OTHER = "_other"


class SideOfPage(NamedTuple):
    """A result on the page: its title, a headline with its style, the reasons, and the log.

    `tables` are the names of its tables. Without a trial there is a problem.
    """

    title: str
    headline: str
    style: str
    why: Sequence[Section]
    log: Sequence[str]
    problem: str
    tables: Sequence[str]


def query(source: Source, _filters: Filters) -> Shown:
    """Return the empty form."""
    return form_page(source.config, TryForm())


def form_page(config: Config, form: TryForm, problems: Mapping[str, str] | None = None) -> Shown:
    """Return the form; `problems` has what was expected, by the field. Raises OSError."""
    listeners = [one.name for one in config.listen if one.name]
    files = names_of(config)
    facts_of_form = {
        "form": form,
        "problems": problems or {},
        "listeners": _with(form.given.listen, listeners),
        "protocols": _with(form.given.protocol, PROTOCOLS),
        "files": _with(form.compare, files),
        "change": change_of(config),
        "most": most_octets(config),
        "seconds": SECONDS,
        "sides": (),
        "differing": 0,
    }
    return Shown([], facts_of_form)


def _with(chosen: str, choices: Sequence[str]) -> Sequence[str]:
    """Return choices with one that is not among them, so that the form shows it."""
    return choices if not chosen or chosen in choices else [*choices, chosen]


def result_page(page: Shown, form: TryForm, tried: Tried, zone: tzinfo | None) -> Shown:
    """Return the page of a form with a result below."""
    count = len(form.given.recipients)
    sides, tables = [_side(tried.now, _NOW, "", count, zone)], [*_tables(tried.now, "")]
    if tried.other is not None:
        sides.append(_side(tried.other, f"With {form.compare}", _OTHER, count, zone))
        tables += _tables(tried.other, _OTHER)
    if tried.differences:
        tables.append(_comparison(tried.differences, form.compare))
    differing = sum(not one.is_same for one in tried.differences)
    return Shown(tables, {**page.facts, "sides": sides, "differing": differing})


def _side(side: Side, title: str, suffix: str, count: int, zone: tzinfo | None) -> SideOfPage:
    log = side.log.splitlines()
    if side.trial is None:
        return SideOfPage(title, "", "", (), log, side.problem, ())
    why = [one for story in stories(side.records) for one in sections(story, zone)]
    return SideOfPage(
        title,
        verdict(side.trial, count),
        outcome(side.trial),
        [one for one in why if one.title in _WHY and one.rows],
        log,
        "",
        [f"{name}{suffix}" for name in _TABLES],
    )


def _tables(side: Side, suffix: str) -> list[Table]:
    """Return the tables of a trial, none without one."""
    if side.trial is None:
        return []
    steps = [Row(_step(one)) for one in side.trial.steps]
    opinions = [Row(row) for step in side.trial.steps for row in _opinions(step)]
    findings = [Row((line,)) for line in facts(side.trial)]
    return [
        Table(f"steps{suffix}", "Steps", STEPS, steps),
        Table(f"opinions{suffix}", "Opinions of plugins", OPINIONS, opinions, _NO_OPINION),
        Table(f"findings{suffix}", "Findings and changes", FINDINGS, findings, _NO_FINDING),
    ]


def _step(step: TrialStep) -> tuple[Value, ...]:
    return step.hook, step.about, step.by, step.answer, first_line(step.reply)


def _opinions(step: TrialStep) -> Iterator[tuple[Value, ...]]:
    for one in step.opinions:
        yield step.hook, step.about, one.plugin, one.opinion or "none", one.seconds


def _comparison(differences: Sequence[Difference], name: str) -> Table:
    columns = (*COMPARED, Column("here", "The server now"), Column("there", f"With {name}"))
    rows = [Row(_compared(one)) for one in differences]
    return Table("comparison", "Comparison", columns, rows)


def _compared(one: Difference) -> tuple[Value, ...]:
    state = "same" if one.is_same else "differs"
    hook = _NOT_HOOKS.get(one.hook, one.hook)
    return state, hook, one.about, one.here or _NONE, one.there or _NONE
