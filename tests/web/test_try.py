"""The view Try: a form, a trial in a process of its own, and the comparison of configurations."""

import asyncio
import base64
import html
import json
import re
import urllib.parse
from types import SimpleNamespace

import pytest
from tests.process.supervised import eventually
from tests.web.made import MARKUP, RECORDS, accepted
from tests.web.served import Dashboard, write_records
from tests.web.test_api import Client, add_token, assert_problem

from gatepost.checks.trial.envelope import Given
from gatepost.config.load import config_from_dict, load_config
from gatepost.ledger.records import Client as RecordedClient
from gatepost.ledger.records import RecipientRecord
from gatepost.web import configurations, trials, trying
from gatepost.web.access.client import Client as BrowserClient
from gatepost.web.access.multipart import MOST_PARTS
from gatepost.web.access.users import WebUser
from gatepost.web.api.operations import OPERATIONS, Call
from gatepost.web.api.parameters import TryRequest
from gatepost.web.asking import Problem
from gatepost.web.filters import Filters
from gatepost.web.guard import BODY
from gatepost.web.scope import Scope
from gatepost.web.site import Visitor
from gatepost.web.source import Source
from gatepost.web.trials import BusyTrialsError, Trials
from gatepost.web.views.try_form import TryForm

TABLES = """
[[listen]]
address = "127.0.0.1:0"
name = "in"
[recipients]
domains = ["example.com"]
[traps]
lists = ["traps"]
[[route]]
to = "discard:"
[limits]
message_size = "200KiB"
[web]
listen = "127.0.0.1:8025"
"""
PLUGIN = """
from gatepost import Plugin, accept, defer, deny

class Mine(Plugin):
    class Options(Plugin.Options):
        word: str = "GTUBE"

    def on_message(self, tx):
        self.log.info("looked", size=len(bytes(tx.message)))
        tx.results.add("mine", "looked", subject=tx.message.headers().get("Subject") or "")
        if self.options.word.encode() in bytes(tx.message):
            return deny("spam", reason="word")
"""
USE = '[[plugin]]\nuse = "mine.py"\n'
FIELDS = {"ip": "192.0.2.7", "helo": "mx.client.example", "sender": "me@client.example"}
BOUNDARY = "----boundary"
ADMIN_OF_A_DOMAIN = {"role": "admin", "domains": ["a.example"]}


def write(folder, more=USE, name="gatepost.toml"):
    """Write a configuration with its files; return its path."""
    (folder / "traps").write_text("trap@example.com\n")
    (folder / "mine.py").write_text(PLUGIN)
    (folder / name).write_text(TABLES + more)
    return folder / name


def dashboard_of(file):
    """Return a dashboard of a configuration in a file."""
    made = Dashboard(file.parent)
    made.config = load_config(file)
    return made


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("try")
    write(folder, f'{USE}options = {{ word = "ham" }}\n', "other.toml")
    write_records(folder / "var", *RECORDS)
    with dashboard_of(write(folder)) as dashboard:
        yield dashboard


@pytest.fixture
def admin(running):
    return running.logged_in(role="admin")


def multipart(fields, files=()):
    """Return the body of a form with files."""
    parts = [(f'name="{name}"', value.encode()) for name, value in fields]
    parts += [(f'name="{name}"; filename="x.eml"', content) for name, content in files]
    body = b"".join(
        f"--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode()
        + content
        + b"\r\n"
        for head, content in parts
    )
    return body + f"--{BOUNDARY}--\r\n".encode()


def try_it(browser, to="bob@example.com", file=None, **fields):
    """Send the form; return the page."""
    values = {**FIELDS, "token": browser.get("/try").token, **fields}
    pairs = [*values.items(), ("to", to)]
    body = multipart(pairs, () if file is None else [("file", file)])
    media_type = f"multipart/form-data; boundary={BOUNDARY}"
    return browser.send("POST", "/try", body=body, Content_Type=media_type)


def text_of(answer):
    """Return the text of a page without its markup."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


# The form


def test_the_form_has_the_defaults_of_the_command(admin):
    page = admin.get("/try")
    assert page.status == 200
    assert 'name="ip" value="192.0.2.1"' in page.text
    assert 'name="helo" value="client.example"' in page.text
    assert re.findall(r'<option value="(\w+)"', page.text) == ["in", "smtp", "lmtp"]
    assert '<option value="other.toml">' in page.text
    assert "Nothing is delivered." in page.text


def test_a_link_fills_in_the_form_and_tries_nothing(admin, running):
    link = (
        "/try?ip=192.0.2.9&to=a@example.com&to=b@example.com&tls=yes&listen=in&compare=other.toml"
    )
    page = admin.get(link)
    assert 'name="ip" value="192.0.2.9"' in page.text
    assert ">\na@example.com\nb@example.com</textarea>" in page.text
    assert 'value="yes" checked>' in page.text
    assert '<option value="in" selected>' in page.text
    assert '<option value="other.toml" selected>' in page.text
    assert "<h2>Steps" not in page.text
    again = html.unescape(re.search(r'href="(/try\?[^"]+)"', page.text)[1])
    assert urllib.parse.parse_qs(again.partition("?")[2]) == {
        "ip": ["192.0.2.9"], "helo": ["client.example"], "to": ["a@example.com", "b@example.com"],
        "tls": ["yes"], "listen": ["in"], "compare": ["other.toml"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("ip", "300.1.1.1", "expected an IP address, found '300.1.1.1'"),
        ("name", "a b", "expected a name such as client.example, found 'a b'"),
        ("helo", "", "expected a name such as client.example, found ''"),
        ("sender", "a@b@c", "expected local-part@domain, found 'a@b@c'"),
        ("to", "bob", "expected local-part@domain, found 'bob'"),
        ("to", " \n ", "expected at least one recipient"),
        ("to", "a@example.com\n" * 201, "expected at most 200 recipients, found 201"),
        ("user", "x" * 1001, "expected at most 1000 printable characters"),
        ("protocol", "milter", "expected one of smtp, lmtp, found 'milter'"),
        ("listen", "out", "no listener has the name 'out'"),
        ("compare", "../x.toml", "expected a .toml file in the folder of the configuration"),
        ("compare", "mine.py", "expected a .toml file in the folder of the configuration"),
    ],
)
def test_a_wrong_value_is_named_next_to_its_field(admin, field, value, expected):
    page = try_it(admin, **{field: value})
    assert page.status == 400
    name = "recipients" if field == "to" else field
    found = re.search(rf'id="problem-{name}" role="alert">([^<]+)<', page.text)
    assert expected in html.unescape(found[1])
    assert f'aria-describedby="problem-{name}"' in page.text
    assert page.text.count('role="alert"') == 1


def test_without_script_and_file_a_plain_form_works(admin):
    form = {**FIELDS, "to": "trap@example.com", "token": admin.get("/try").token}
    page = admin.post("/try", form)
    assert (page.status, "refused" in text_of(page)) == (200, True)


# The result


def test_a_trial_shows_steps_opinions_findings_and_the_log(admin):
    page = try_it(admin, message="Subject: hello\n\ntext\n")
    found = text_of(page)
    assert page.status == 200
    assert 'class="headline accepted"' in page.text
    assert "No rule and no plugin objected." in found
    assert "250 2.1.5 Recipient ok" in found
    assert "message mine none" in found
    assert "result: mine=looked subject=hello" in found
    assert "looked plugin=mine" in found
    assert ">\nSubject: hello\n\ntext\n</textarea>" in page.text.replace("\r", "")


def test_a_file_is_refused_by_the_plugin_that_recognises_it(admin):
    page = try_it(admin, message="Subject: text\n\n", file=b"Subject: file\r\n\r\nGTUBE \xe4\r\n")
    found = text_of(page)
    assert 'class="headline refused"' in page.text
    assert "Decided by the plugin mine at message Reason word" in found
    assert "deny (word)" in found
    assert "554 5.7.1 spam [" in found
    assert ">\n</textarea>" in page.text  # it is no UTF-8


def test_a_file_that_is_text_stays_in_the_form(admin):
    page = try_it(admin, file=b"Subject: </textarea><b>\r\n\r\ntext\r\n")
    assert ">\nSubject: &lt;/textarea&gt;&lt;b&gt;\r\n\r\ntext\r\n</textarea>" in page.text


def test_a_large_text_does_not_stay_in_the_form(tmp_path):
    file = write(tmp_path)
    file.write_text(TABLES.replace("200KiB", "1MiB"))
    text = "Subject: x\r\n\r\n" + "x" * trying.KEPT
    with dashboard_of(file) as dashboard:
        page = try_it(dashboard.logged_in(role="admin"), message=text)
    assert 'class="headline accepted"' in page.text
    assert len(page.text) < trying.KEPT


def test_a_trap_is_explained_as_by_the_command(admin):
    found = text_of(try_it(admin, to="bob@example.com\ntrap@example.com"))
    assert "Decided by the core at data Reason trap" in found
    assert "Setting traps.lists, traps.action" in found
    assert "trap: trap@example.com matches trap@example.com in" in found
    assert "delay: 1 s before the reply" in found


def test_some_of_the_recipients_are_named(admin):
    found = text_of(try_it(admin, to="bob@example.com\nbob@other.example"))
    assert "accepted for 1 of 2 recipients: bob@example.com" in found


def test_every_field_reaches_the_trial(admin):
    fields = {"ip": "2001:db8::7", "helo": "mx.example", "user": "alice", "tls": "yes"}
    more = {"name": "mail.example", "protocol": "lmtp", "listen": "in", "sender": ""}
    found = text_of(try_it(admin, **fields, **more))
    assert "connect 2001:db8::7" in found
    assert "helo mx.example" in found
    assert "mail <>" in found


@pytest.mark.parametrize("field", [*Given.__struct_fields__, "compare", "message"])
def test_markup_in_a_field_is_text(admin, field):
    name = "to" if field == "recipients" else field
    for page in (
        admin.get(f"/try?{urllib.parse.urlencode({name: MARKUP})}"),
        try_it(admin, **{name: MARKUP}),
    ):
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text


def test_markup_of_plugins_replies_and_messages_is_text(tmp_path):
    file = write(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from gatepost import Plugin, deny\n"
        f"TEXT = {MARKUP!r}\n"
        "class Mine(Plugin):\n"
        "    def on_rcpt(self, tx, rcpt):\n"
        "        self.log.warning(TEXT, field=TEXT)\n"
        "        tx.results.add('mine', TEXT, fact=TEXT)\n"
        "        return deny(TEXT, reason=TEXT)\n"
    )
    with dashboard_of(file) as dashboard:
        page = try_it(dashboard.logged_in(role="admin"), compare="gatepost.toml")
    assert "alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert "<img src=x" not in page.text


def test_a_configuration_that_cannot_start_is_a_problem(tmp_path):
    file = write(tmp_path)
    with dashboard_of(file) as dashboard:
        (tmp_path / "traps").unlink()
        page = try_it(dashboard.logged_in(role="admin"))
        found = text_of(page)
        assert f"{tmp_path}/traps: cannot be read: No such file or directory" in found
        assert "trial failed" in dashboard.log()


# Another configuration


def test_a_comparison_shows_what_differs(admin):
    page = try_it(admin, compare="other.toml", message="Subject: ham\n\n")
    found = text_of(page)
    assert "differences" in found
    assert "differs Result accepted refused" in found
    assert "same connect 192.0.2.7" in found
    assert "differs message 250 2.0.0 Ok mine: deny (word); 554 5.7.1 spam [REF.1]" in found
    assert "With the configuration of the server" in found
    assert "With other.toml" in found


def test_equal_decisions_are_named_so(admin):
    found = text_of(try_it(admin, compare="other.toml", message="Subject: x\n\n"))
    assert "Both configurations decide the same." in found
    assert "differs" not in found


def test_another_configuration_with_errors_leaves_the_first_result(tmp_path):
    file = write(tmp_path)
    (tmp_path / "broken.toml").write_text("[limits]\nrecipients = 0\n")
    with dashboard_of(file) as dashboard:
        found = text_of(try_it(dashboard.logged_in(role="admin"), compare="broken.toml"))
    assert "No rule and no plugin objected." in found
    assert "broken.toml: limits.recipients: expected a whole number from 1 to 100000" in found


def test_a_file_that_others_can_change_is_not_used(tmp_path):
    file = write(tmp_path)
    (tmp_path / "other.toml").write_text(file.read_text())
    (tmp_path / "other.toml").chmod(0o666)
    with dashboard_of(file) as dashboard:
        page = try_it(dashboard.logged_in(role="admin"), compare="other.toml")
    assert (page.status, "other users can change other.toml" in text_of(page)) == (400, True)


def test_a_changed_file_is_named(tmp_path):
    file = write(tmp_path)
    with dashboard_of(file) as dashboard:
        admin = dashboard.logged_in(role="admin")
        assert 'class="warning"' not in admin.get("/try").text
        file.write_text("# a comment\n" + file.read_text())
        assert 'class="warning"' not in admin.get("/try").text
        file.write_text(file.read_text().replace("200KiB", "300KiB"))
        assert "gatepost.toml has been changed since the server loaded it." in text_of(
            admin.get("/try")
        )
        file.write_text("[limits]\nrecipients = 0\n")
        assert "gatepost.toml cannot be loaded now:" in text_of(admin.get("/try"))


def test_a_configuration_of_code_has_no_files(tmp_path):
    (tmp_path / "gatepost.toml").write_text(TABLES)
    config = config_from_dict({}, tmp_path)
    assert configurations.names_of(config) == []
    assert configurations.change_of(config) == ""


# Users, tokens and limits


@pytest.mark.parametrize("user", [{"role": "viewer"}, ADMIN_OF_A_DOMAIN])
def test_others_try_nothing(running, user):
    browser = running.logged_in("other", **user)
    page = browser.get("/try")
    assert page.status == 403
    assert "Only administrators without a limit to some domains try messages." in page.text
    assert 'href="/try' not in browser.get("/find").text
    assert "/try?" not in browser.get("/message/a1-1.1").text
    assert browser.post("/try", {"token": page.token}).status == 403


def test_a_form_needs_its_token_and_its_site(admin, running):
    assert try_it(admin, token="x").status == 403
    body = multipart([("to", "bob@example.com"), ("token", admin.get("/try").token)])
    media_type = f"multipart/form-data; boundary={BOUNDARY}"
    foreign = {"Content_Type": media_type, "Origin": "https://evil.example"}
    assert admin.send("POST", "/try", body=body, **foreign).status == 403
    assert running.browser().send("POST", "/try", body=body, Content_Type=media_type).status == 401


def test_a_message_may_be_as_large_as_the_server_accepts(admin):
    size = 200 * 1024
    page = try_it(admin, file=b"Subject: x\r\n\r\n" + b"x" * (size - 1000))
    assert 'class="headline accepted"' in page.text
    assert try_it(admin, file=b"x" * (size + BODY)).status == 413


@pytest.mark.parametrize("path", ["/login", "/queue/change", "/try/x"])
def test_other_paths_take_64_kib(admin, path):
    assert BODY == 64 * 1024
    assert admin.post(path, {"x": "x" * BODY}).status in (404, 413)
    assert admin.post("/queue/change", {"x": "x" * BODY}).status == 413


def test_users_without_the_role_cannot_send_large_bodies(running):
    browser = running.logged_in("small", role="viewer")
    assert browser.post("/try", {"message": "x" * BODY}).status == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        f"--{BOUNDARY}--\r\n".encode(),
        multipart([("to", "x")])[:-6],
        multipart([("x", "y")] * (MOST_PARTS + 1)),
        b"\xff".join([multipart([("to", "x")])] * 2),
    ],
)
def test_a_broken_form_has_no_token(admin, body):
    media_type = f"multipart/form-data; boundary={BOUNDARY}"
    assert admin.send("POST", "/try", body=body, Content_Type=media_type).status == 403


def test_two_trials_run_at_the_same_time_and_no_more(tmp_path):
    config = load_config(write(tmp_path))
    given = Given(recipients=["bob@example.com"])

    async def main():
        limited, started, go_on = Trials(), asyncio.Event(), asyncio.Event()
        count = 0

        async def waits(*_arguments):
            nonlocal count
            count += 1
            if count == trials.RUNNING:
                started.set()
            await go_on.wait()
            return trials.Side(None, problem="x")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(trials, "_side", waits)
            tasks = [
                asyncio.create_task(limited.run(config, given, "", b""))
                for _ in range(trials.RUNNING)
            ]
            await started.wait()
            with pytest.raises(BusyTrialsError):
                await limited.run(config, given, "", b"")
            go_on.set()
            await asyncio.gather(*tasks)
            await limited.run(config, given, "", b"")

    asyncio.run(main())


def test_too_many_trials_get_503(tmp_path):
    config = load_config(write(tmp_path))
    given = Given(recipients=["bob@example.com"])
    full = Trials()
    full._running = trials.RUNNING
    site = SimpleNamespace(config=config, trials=full)
    visitor = Visitor(WebUser("admin", "admin"), BrowserClient("127.0.0.1", is_secure=False), "")
    page = asyncio.run(trying._answer(site, visitor, TryForm(given), b""))
    assert (page.status_code, b"2 trials are running." in page.body) == (503, True)
    call = Call(Source(config, Scope()), Filters(), {}, {}, body=TryRequest(recipients=["a@b"]))
    [operation] = [one for one in OPERATIONS if one.name == "try"]
    problem = asyncio.run(operation.run(call, full))
    assert problem == Problem(503, "2 trials are running. Try again in some seconds.")


def test_a_trial_is_a_line_in_the_log_and_no_event(running, admin):
    try_it(admin)
    assert eventually(lambda: "message tried" in running.log())


# The API


@pytest.fixture(scope="module")
def program(running):
    return Client(running, add_token(running, "admin", role="admin"))


def test_the_api_tries_a_message(program, running):
    message = base64.b64encode(b"Subject: ham\r\n\r\n\xff\r\n").decode()
    body = {"recipients": ["bob@example.com"], "message": message, "compare": "other.toml"}
    answer = program.post("/try", body)
    found = json.loads(answer.text)
    assert (answer.status, found["now"]["trial"]["accepted"]) == (200, True)
    assert found["other"]["trial"]["steps"][-1]["answer"] == "deny (word)"
    assert "The message was refused." in found["other"]["explanation"]
    result = {"hook": "result", "about": "", "here": "accepted", "there": "refused"}
    assert found["differences"][0] == result
    assert eventually(lambda: '"user": "token admin"' in running.log().replace('":"', '": "'))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "recipients: expected at least one recipient"),
        ({"recipients": ["x"], "ip": "y"}, "ip: expected an IP address, found 'y'; recipients: "),
        ({"recipients": ["a@example.com"], "compare": "../x"}, "compare: expected a .toml file"),
        ({"recipients": ["a@example.com"], "message": "no Base64"}, "message"),
        ({"recipients": ["a@example.com"], "config": "x"}, "unknown field `config`"),
    ],
)
def test_a_wrong_body_is_a_problem(program, body, text):
    assert_problem(program.post("/try", body), 400, text)


@pytest.mark.parametrize("fields", [{"role": "viewer"}, ADMIN_OF_A_DOMAIN])
def test_the_api_needs_an_administrator_without_domains(running, fields):
    name = "-".join(map(str, fields))
    client = Client(running, add_token(running, name, **fields))
    assert_problem(client.post("/try", {"recipients": ["a@example.com"]}), 403, "The token ")


def test_the_api_takes_messages_in_base64_and_elsewhere_64_kib(program):
    message = base64.b64encode(b"Subject: x\r\n\r\n" + b"x" * 199 * 1024).decode()
    assert program.post("/try", {"recipients": ["a@example.com"], "message": message}).status == 200
    assert_problem(program.post("/queue/retry", {"messages": ["x" * BODY]}), 413, "too large")


# Records


def test_the_page_of_a_message_leads_to_its_envelope(admin):
    page = admin.get("/message/a1-1.1")
    link = html.unescape(re.search(r'href="(/try\?[^"]+)"', page.text)[1])
    assert urllib.parse.parse_qs(link.partition("?")[2]) == {
        "ip": ["192.0.2.1"], "helo": ["client.example"], "sender": ["me@client.example"],
        "protocol": ["smtp"], "to": ["alice@example.com"],
    }  # fmt: skip
    assert 'value="me@client.example"' in admin.get(link).text


def test_the_client_of_a_record_is_the_one_of_the_form(tmp_path):
    client = RecordedClient(
        "192.0.2.9", helo="h", tls="TLSv1.3", user="u", listener="in", xclient={"NAME": "n.example"}
    )
    recipients = [RecipientRecord("team@example.com"), RecipientRecord("x@example.com", added=True)]
    named = {"recipients": recipients, "replaced": ["all@example.com"], "client": client}
    local = accepted(2, client=RecordedClient("unix:x"))
    write_records(tmp_path / "var", accepted(1, **named), local)
    with Dashboard(tmp_path) as dashboard:
        admin = dashboard.logged_in(role="admin")
        link = html.unescape(re.search(r'"(/try\?[^"]+)"', admin.get("/message/a1-1.1").text)[1])
        assert urllib.parse.parse_qs(link.partition("?")[2]) == {
            "ip": ["192.0.2.9"], "name": ["n.example"], "helo": ["h"], "user": ["u"],
            "sender": ["me@client.example"], "protocol": ["smtp"], "listen": ["in"],
            "to": ["all@example.com", "team@example.com"], "tls": ["yes"],
        }  # fmt: skip
        assert "/try?" not in admin.get("/message/a2-1.1").text


def test_records_without_addresses_have_no_link(tmp_path):
    write_records(tmp_path / "var", accepted(1))
    with Dashboard(tmp_path, {"ledger": {"privacy": ["addresses"]}}) as dashboard:
        assert "/try?" not in dashboard.logged_in(role="admin").get("/message/a1-1.1").text
