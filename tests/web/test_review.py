"""The view Trap review: candidates with their evidence, and the changes of administrators."""

import html
import json
import re
import urllib.parse

import pytest
from tests.web.made import MARKUP, accepted, refused
from tests.web.served import Dashboard, write_records

from gatepost.ledger.records import Answer, Client, PluginResult, Trap
from gatepost.registry.file import FileRegistry
from gatepost.registry.trap import RegisteredTrap
from gatepost.traps.verdicts import Treatment

PAGE = "/review/trap"
ENTRY = "old@example.com"


def unknown(number, address, network="198.51.100", **fields):
    answer = Answer("rcpt", "gatepost", "deny", "unknown-recipient", "550 5.1.1 No", address)
    client = Client(f"{network}.{number}")
    values = {"ref": f"u{number}-{network}", "client": client, "answers": [answer]}
    sender = f"x@{network}.example"
    return refused(number, address, "unknown-recipient", "gatepost", sender=sender, **values)


def shadowed(number, entry=ENTRY, **fields):
    trap = Trap(entry, entry, "registry", 1, treatment=Treatment.REFUSE_ALL.value, shadow=True)
    return accepted(number, traps=[trap], traps_count=1, shadowed=True, ref=f"s{number}", **fields)


def registry(folder, *traps):
    found = FileRegistry(folder / "var")
    for entry, state in traps:
        new = RegisteredTrap(entry=entry, state=state, by="test", at=1000.0)
        found.change(entry, lambda _old, new=new: new)
    return found


def states(dashboard, entry=ENTRY):
    return [one.state for one in FileRegistry(dashboard.folder).history(entry)]


@pytest.fixture
def reviewed(tmp_path):
    write_records(
        tmp_path / "var",
        accepted(1),
        shadowed(2),
        shadowed(3, sender="x@other.example", client=Client("203.0.113.1")),
        *(unknown(number, "gone@example.com") for number in (4, 5)),
        unknown(6, "gone@example.com", "203.0.113"),
        *(unknown(number, "once@example.com") for number in (7, 8, 9)),
    )
    registry(tmp_path, (ENTRY, "shadow"), ("armed@example.com", "armed"))
    with Dashboard(tmp_path) as running:
        yield running


@pytest.fixture
def admin(reviewed):
    return reviewed.logged_in(role="admin")


def rows(browser, table):
    answer = browser.get(f"/review?table={table}&format=json")
    assert answer.status == 200, answer
    return json.loads(answer.text)


def change(browser, action, entry=ENTRY, **fields):
    page = browser.get(f"{PAGE}?{urllib.parse.urlencode({'entry': entry, 'action': action})}")
    form = {"token": page.token, "entry": entry, "action": action, **fields}
    return browser.post(PAGE, form)


def test_traps_in_shadow_mode_have_evidence(admin):
    (one,) = rows(admin, "shadow")
    assert (one["trap"], one["hits"], one["would"], one["networks"]) == (ENTRY, 2, 2, 2)


@pytest.mark.parametrize(("standing", "good"), [("acquainted", 1), ("stranger", 0)])
def test_a_hit_of_a_known_sender_is_counted_as_one(tmp_path, standing, good):
    hit = shadowed(7, results=[PluginResult("standing", standing)])
    write_records(tmp_path / "var", *map(accepted, range(1, 6)), hit)
    registry(tmp_path, (ENTRY, "shadow"))
    with Dashboard(tmp_path) as dashboard:
        (one,) = rows(dashboard.logged_in(), "shadow")
        assert (one["hits"], one["good"]) == (1, good)


def test_unknown_recipients_of_several_networks_are_suggested(admin):
    (one,) = rows(admin, "suggested")
    assert (one["trap"], one["hits"], one["networks"]) == ("gone@example.com", 3, 2)


def test_with_hidden_addresses_there_are_no_suggestions(tmp_path):
    write_records(
        tmp_path / "var", *(unknown(one, "gone@example.com", f"10.0.{one}") for one in range(5))
    )
    with Dashboard(tmp_path, {"ledger": {"privacy": ["addresses"]}}) as dashboard:
        assert rows(dashboard.logged_in(), "suggested") == []


def test_registered_traps_are_listed_with_their_state(admin):
    found = {row["trap"]: row["state"] for row in rows(admin, "registered")}
    assert found == {ENTRY: "shadow", "armed@example.com": "armed"}


def test_each_change_asks_and_is_recorded(reviewed, admin):
    link = re.search(rf'href="({PAGE}[^"]*action=armed)"', admin.get("/review").text)[1]
    page = admin.get(html.unescape(link)).text
    assert "Arm this address?" in page
    assert states(reviewed) == ["shadow"]
    answer = change(admin, "armed", reason="no good mail")
    assert (answer.status, answer.headers["Location"]) == (303, f"{PAGE}?entry=old%40example.com")
    (last,) = FileRegistry(reviewed.folder).history(ENTRY)[1:]
    assert (last.state, last.by, last.reason) == ("armed", "admin", "no good mail")
    login, event = reviewed.events(2)
    assert (login.name, event.name, event.about) == (
        "dashboard login",
        "dashboard trap armed",
        "admin",
    )
    assert re.fullmatch(rf"from 127\S+: {ENTRY}", event.detail)


def test_a_change_can_be_undone(reviewed, admin):
    change(admin, "retired")
    page = admin.get(f"{PAGE}?entry={ENTRY}").text
    assert "Undo: shadow" in page
    assert change(admin, "shadow").status == 303
    assert states(reviewed) == ["shadow", "retired", "shadow"]


@pytest.mark.parametrize("action", ["armed", "shadow", "retired"])
def test_a_suggestion_is_registered_or_not_made_again(reviewed, admin, action):
    assert change(admin, action, "gone@example.com").status == 303
    assert states(reviewed, "gone@example.com") == [action]
    assert rows(admin, "suggested") == []


def test_an_address_that_exists_is_armed_only_by_force(reviewed, admin):
    entry = "alice@example.com"
    page = admin.get(f"{PAGE}?entry={entry}&action=armed").text
    assert "1 messages to it were accepted" in page
    answer = change(admin, "armed", entry)
    assert (answer.status, "is not armed" in answer.text) == (409, True)
    assert states(reviewed, entry) == []
    assert change(admin, "armed", entry, force="yes").status == 303
    assert states(reviewed, entry) == ["armed"]


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"action": "shadow"}, 409),
        ({"action": "other"}, 400),
        ({"action": ""}, 400),
        ({"action": "armed", "entry": "/.*/"}, 400),
        ({"action": "armed", "entry": "a b"}, 400),
        ({"action": "armed", "reason": "two\nlines state=retired"}, 400),
        ({"action": "armed", "reason": "x" * 501}, 400),
        ({"action": "armed", "token": "wrong"}, 403),
    ],
)
def test_a_wrong_form_changes_nothing(reviewed, admin, fields, status):
    token = admin.get("/review").token
    form = {"token": token, "entry": ENTRY, "action": "armed", **fields}
    assert admin.post(PAGE, form).status == status
    assert states(reviewed) == ["shadow"]


def test_a_viewer_sees_the_evidence_and_changes_nothing(reviewed):
    viewer = reviewed.logged_in("viewer")
    text = viewer.get("/review").text
    assert ENTRY in text
    assert "action=" not in text.replace('action="', "")
    page = viewer.get(f"{PAGE}?entry={ENTRY}&action=armed")
    assert "Arm this address?" not in page.text
    form = {"token": page.token, "entry": ENTRY, "action": "armed"}
    assert viewer.post(PAGE, form).status == 403
    assert states(reviewed) == ["shadow"]


def test_an_administrator_of_some_domains_changes_nothing(reviewed):
    scoped = reviewed.logged_in("scoped", role="admin", domains=["example.com"])
    form = {"token": scoped.get("/find").token, "entry": ENTRY, "action": "armed"}
    assert scoped.post(PAGE, form).status == 403
    assert states(reviewed) == ["shadow"]


@pytest.mark.parametrize("entry", ["", "/.*/", "no address"])
def test_a_page_of_no_trap_is_refused(admin, entry):
    assert admin.get(f"{PAGE}?{urllib.parse.urlencode({'entry': entry})}").status == 400


def test_the_page_of_a_trap_has_its_history_and_messages_as_exports(admin):
    text = admin.get(f"{PAGE}?entry={ENTRY}").text
    urls = [html.unescape(one) for one in re.findall(r'href="([^"]*format=json)"', text)]
    assert [len(json.loads(admin.get(one).text)) for one in urls] == [1, 2]


def test_markup_in_a_reason_is_text(tmp_path):
    write_records(tmp_path / "var", accepted(1))
    found = registry(tmp_path, (ENTRY, "shadow"))
    found.note(ENTRY, "test", MARKUP)
    with Dashboard(tmp_path) as dashboard:
        browser = dashboard.logged_in(role="admin")
        for path in ("/review", f"{PAGE}?entry={ENTRY}", f"{PAGE}?entry={ENTRY}&action=armed"):
            text = browser.get(path).text
            assert "<img src=x" not in text
            assert "<script>" not in text
