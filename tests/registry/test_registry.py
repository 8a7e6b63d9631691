"""The registry: the contract of all kinds, and the file."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gatepost.lists.addresses import AddressList
from gatepost.registry import file as registry_file
from gatepost.registry.file import FileRegistry, _found_from_end
from gatepost.registry.mailboxes import retire_mailboxes
from gatepost.registry.memory import MemoryRegistry
from gatepost.registry.objections import objections
from gatepost.registry.registry import NoSuchTrapError, UnchangedError
from gatepost.registry.trap import MOST_EXEMPT, RegisteredTrap
from gatepost.registry.trial import TrialRegistry
from gatepost.traps.notes import TrapState
from gatepost.traps.table import TrapTable

ENTRY = "k7@example.com"
KNOWN = AddressList.from_lines(["alice@example.com", "@catch-all.example"], "known")


def trap(entry=ENTRY, **fields):
    return RegisteredTrap(entry=entry, **{"reason": "test", "by": "test", "at": 5.0, **fields})


def put(registry, one):
    return registry.change(one.entry, lambda _old: one)


@pytest.fixture(params=["file", "memory"])
def registry(request, tmp_path):
    made = MemoryRegistry() if request.param == "memory" else FileRegistry(tmp_path)
    made.clock = lambda: 1000.9
    yield made
    made.close()


def current(registry):
    """Return the registry as another process or a later second sees it."""
    if isinstance(registry, FileRegistry):
        registry.list.refresh()
    return registry


def test_an_empty_registry_has_no_traps(registry):
    assert registry.find(ENTRY) is None
    assert list(registry.traps()) == registry.history(ENTRY) == []


def test_a_change_is_found_and_stays_in_the_history(registry):
    put(registry, trap())
    changed = registry.set_state(ENTRY, TrapState.ARMED, "me", "looked at it")
    assert changed == trap(state="armed", by="me", reason="looked at it", at=1000.0)
    assert current(registry).find(ENTRY) == changed
    assert registry.history(ENTRY) == [trap(), changed]
    assert list(registry.traps()) == [changed]


def test_an_exemption_is_added_to_those_before(registry):
    put(registry, trap(state="armed"))
    for domain in ("a.example", "b.example"):
        registry.exempt(ENTRY, domain, "guard", "known sender")
    with pytest.raises(UnchangedError, match=r"already exempt for a\.example"):
        registry.exempt(ENTRY, "a.example", "guard", "again")
    assert current(registry).find(ENTRY).exempt == ("a.example", "b.example")
    assert current(registry).find(ENTRY).state == "armed"


def test_a_note_changes_nothing_but_the_history(registry):
    put(registry, trap(state="armed", exempt=("a.example",)))
    noted = registry.note(ENTRY, "probes", "exposed")
    assert noted == trap(
        state="armed", exempt=("a.example",), by="probes", reason="exposed", at=1000.0
    )
    assert current(registry).find(ENTRY) == noted
    assert len(registry.history(ENTRY)) == 2
    with pytest.raises(NoSuchTrapError):
        registry.note("other@example.com", "probes", "exposed")


def test_a_state_that_it_has_already_is_an_error(registry):
    put(registry, trap(state="armed"))
    with pytest.raises(UnchangedError, match="already armed"):
        registry.set_state(ENTRY, TrapState.ARMED, "me", "")
    assert registry.history(ENTRY) == [trap(state="armed")]


def test_known_recipients_are_retired_once(registry):
    for name in ("alice", "bob"):
        put(registry, trap(f"{name}@example.com", state="armed"))
    current(registry)
    table = TrapTable([], [KNOWN], registry)
    for _ in range(2):
        retire_mailboxes(table, registry)
    registry.close()
    assert {one.entry: one.state for one in current(registry).traps()} == {
        "bob@example.com": "armed",
        "alice@example.com": "retired",
    }
    assert len(registry.history("alice@example.com")) == 2


def test_too_many_exemptions_are_an_error_and_change_nothing(registry):
    domains = tuple(f"d{number}.example" for number in range(MOST_EXEMPT))
    put(registry, trap(exempt=domains))
    with pytest.raises(ValueError, match="at most 50"):
        registry.exempt(ENTRY, "one-more.example", "guard", "")
    assert registry.history(ENTRY) == [trap(exempt=domains)]


def test_a_trap_that_is_not_registered_cannot_be_changed(registry):
    with pytest.raises(NoSuchTrapError, match="not in the registry"):
        registry.set_state(ENTRY, TrapState.ARMED, "me", "")
    with pytest.raises(NoSuchTrapError):
        registry.exempt(ENTRY, "a.example", "me", "")
    assert registry.history(ENTRY) == []


def test_a_mailbox_at_its_address_retires_a_trap(registry):
    put(registry, trap("a b@example.com", state="armed"))
    current(registry).retire_later('"a b"@example.com', "the address is a mailbox")
    registry.close()
    assert current(registry).find("a b@example.com").state == "retired"
    assert registry.history("a b@example.com")[-1].by == "gatepost"


def test_a_trial_changes_nothing(registry):
    put(registry, trap())
    current(registry)
    trial = TrialRegistry(registry)
    assert trial.set_state(ENTRY, TrapState.ARMED, "me", "x").state == "armed"
    trial.retire_later(ENTRY, "x")
    assert trial.find(ENTRY) == trap()
    assert trial.history(ENTRY) == [trap()]
    with pytest.raises(ValueError, match="a reason on one line"):
        trial.set_state(ENTRY, TrapState.ARMED, "me", "\n")


def test_changes_of_several_processes_are_all_kept(tmp_path):
    put(FileRegistry(tmp_path), trap())
    start = threading.Barrier(4)

    def exempt(number):
        start.wait()
        for at in range(5):
            FileRegistry(tmp_path).exempt(ENTRY, f"d{number}-{at}.example", "guard", "")

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(exempt, range(4)))
    assert len(FileRegistry(tmp_path).history(ENTRY)[-1].exempt) == 20


def test_a_line_that_was_cut_off_has_no_effect_and_the_next_one_is_whole(tmp_path):
    registry = FileRegistry(tmp_path)
    put(registry, trap(state="armed"))
    with (tmp_path / "registry").open("ab") as file:
        file.write(b"k7@example.com class=learned by=guard at=2024-01")
    registry.list.load()
    assert registry.find(ENTRY) is None
    put(registry, trap(state="shadow"))
    registry.list.refresh()
    assert registry.find(ENTRY).state == "shadow"
    assert [one.state for one in registry.history(ENTRY)] == ["armed", "shadow"]


def test_a_registry_with_an_index_has_the_last_states(tmp_path, monkeypatch):
    registry = FileRegistry(tmp_path)
    for number in range(50):
        put(registry, trap(f"k{number}@example.com"))
    registry.list._index_above = 0
    registry.list.load()
    assert len(list(registry.traps())) == 50
    registry.set_state(ENTRY, TrapState.RETIRED, "me", "")
    registry.list.refresh()
    assert registry.find(ENTRY).state == "retired"
    assert sum(one.state == "retired" for one in registry.traps()) == 1
    registry.list.close()


def test_a_registry_can_be_a_link(tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "registry").symlink_to(tmp_path / "other" / "traps")
    put(FileRegistry(tmp_path), trap())
    assert (tmp_path / "other" / "traps").read_text().startswith(f"{ENTRY} ")
    assert FileRegistry(tmp_path).history(ENTRY) == [trap()]


def test_a_registry_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "registry").mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        put(FileRegistry(tmp_path), trap())


def test_retiring_in_the_background_logs_what_fails(tmp_path):
    registry = FileRegistry(tmp_path)
    put(registry, trap(state="armed"))
    registry.list.load()
    (tmp_path / "registry").unlink()
    (tmp_path / "registry").mkdir()
    with capture_logs() as logs:
        registry.retire_later(ENTRY, "mailbox")
        registry.retire_later(ENTRY, "mailbox")
        registry.close()
    assert [(one["event"], one["trap"]) for one in logs] == [("trap not retired", ENTRY)]


def test_only_a_limited_number_of_traps_is_retired_in_the_background(tmp_path, monkeypatch):
    monkeypatch.setattr(registry_file, "MOST_RETIRED", 1)
    registry = FileRegistry(tmp_path)
    for name in ("a", "b"):
        put(registry, trap(f"{name}@example.com", state="armed"))
    registry.list.load()
    for name in ("a", "b", "none"):
        registry.retire_later(f"{name}@example.com", "mailbox")
    registry.close()
    registry.list.refresh()
    assert [one.state for one in registry.traps()] == ["armed", "retired"]


@given(
    st.lists(st.sampled_from([b"ab", b"b\n", b"\nab ", b"x" * 7]), max_size=40), st.integers(4, 9)
)
def test_occurrences_are_found_from_the_end_in_pieces_of_any_size(pieces, size):
    content, needle = b"".join(pieces), b"\nab "
    descriptor = os.memfd_create("text")
    with os.fdopen(descriptor, "r+b") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry_file, "PIECE", size)
        file.write(content)
        file.flush()
        found = list(_found_from_end(file, needle))
    text = b"\n" + content
    expected = [at for at in range(len(content)) if text.startswith(needle, at)]
    assert found == expected[::-1]


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ("alice@example.com", "it is a known recipient"),
        ("alce@example.com", "it is one typing error away from alice@example.com"),
        ("alicee@example.com", "it is one typing error away from alice@example.com"),
        ("laice@example.com", "it is one typing error away from alice@example.com"),
        ("alicf@example.com", "it is one typing error away from alice@example.com"),
        ("postmaster@example.com", "it is a role address (RFC 2142)"),
        ("alicff@example.com", None),
        ("alice@other.example", None),
        ("x@catch-all.example", None),
        ("@example.com", None),
    ],
)
def test_what_exists_a_role_and_a_typing_error_speak_against_arming(entry, found):
    assert next(objections(entry, [KNOWN]), None) == found
