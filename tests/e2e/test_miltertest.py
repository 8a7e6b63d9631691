"""Scripts of miltertest, the tester of OpenDKIM, against the milter listener."""

import subprocess

import pytest
from tests.e2e.milter import LISTEN, TRAPS, port_of
from tests.e2e.server import Server
from tools import peers

PLUGIN = """
from gatepost import Plugin, deny

class Edits(Plugin):
    def on_rcpt(self, tx, rcpt):
        return deny("never") if rcpt.user == "bob" else None

    def on_message(self, tx):
        tx.message.add_header("X-First", "one")
        tx.message.add_header("X-Last", "two", first=False)
        tx.message.replace_header("Subject", "new")
        tx.message.remove_header("X-Del")
        tx.message.replace_body(b"new\\r\\n")
        tx.replace_recipient(tx.recipients[0], ["dave@example.com"])
        tx.quarantine("looks bad")
"""
# Lua: each `ask` must get the response; `first` opens a session.
PRELUDE = """
function check(what, got, expected)
  if got ~= expected then error(what .. ": " .. tostring(got)) end
end
function ask(what, failure, expected)
  if failure ~= nil then error(what .. " failed: " .. failure) end
  check(what, mt.getreply(conn), expected)
end
conn = mt.connect("inet:{port}@127.0.0.1")
if conn == nil then error("connect failed") end
"""
OPEN = """
if mt.conninfo(conn, "client.example", "192.0.2.1") ~= nil then error("conninfo") end
if mt.helo(conn, "client.example") ~= nil then error("helo") end
ask("mail", mt.mailfrom(conn, "<a@client.example>", "SIZE=100"), SMFIR_CONTINUE)
"""
MESSAGE = """
ask("rcpt", mt.rcptto(conn, "<alice@example.com>"), SMFIR_CONTINUE)
ask("data", mt.data(conn), SMFIR_CONTINUE)
mt.header(conn, "Subject", " old")
mt.header(conn, "X-Del", " x")
ask("eoh", mt.eoh(conn), SMFIR_CONTINUE)
ask("body", mt.bodystring(conn, "text\\r\\n"), SMFIR_CONTINUE)
ask("eom", mt.eom(conn), SMFIR_CONTINUE)
"""
SCRIPTS = {
    "edits": OPEN
    + MESSAGE
    + """
check("insert", mt.eom_check(conn, MT_HDRINSERT, "X-First"), true)
check("add", mt.eom_check(conn, MT_HDRADD, "X-Last"), true)
check("change", mt.eom_check(conn, MT_HDRCHANGE, "Subject"), true)
check("delete", mt.eom_check(conn, MT_HDRDELETE, "X-Del"), true)
check("body", mt.eom_check(conn, MT_BODYCHANGE, "new\\r\\n"), true)
check("added", mt.eom_check(conn, MT_RCPTADD, "<dave@example.com>"), true)
check("deleted", mt.eom_check(conn, MT_RCPTDELETE, "<alice@example.com>"), true)
check("quarantine", mt.eom_check(conn, MT_QUARANTINE, "looks bad"), true)
""",
    "a trap": OPEN
    + """
ask("trap", mt.rcptto(conn, "<hidden-page@example.com>"), SMFIR_CONTINUE)
ask("rcpt", mt.rcptto(conn, "<alice@example.com>"), SMFIR_CONTINUE)
ask("data", mt.data(conn), SMFIR_REPLYCODE)
mt.abort(conn)
ask("mail", mt.mailfrom(conn, "<a@client.example>"), SMFIR_CONTINUE)
"""
    + MESSAGE,
    "an unknown trap": OPEN
    + """
mt.macro(conn, SMFIC_RCPT, "{rcpt_mailer}", "error", "{rcpt_host}", "5.1.1", "{rcpt_addr}", "no")
ask("trap", mt.rcptto(conn, "<old-page@example.com>"), SMFIR_REPLYCODE)
ask("rcpt", mt.rcptto(conn, "<alice@example.com>"), SMFIR_CONTINUE)
ask("data", mt.data(conn), SMFIR_REPLYCODE)
""",
    "a refused recipient": OPEN
    + """
ask("bob", mt.rcptto(conn, "<bob@example.com>"), SMFIR_REPLYCODE)
"""
    + MESSAGE,
    "an old mail server": """
if mt.negotiate(conn, 2, 63, 127) ~= nil then error("negotiate") end
ask("connect", mt.conninfo(conn, "client.example", "192.0.2.1"), SMFIR_CONTINUE)
ask("helo", mt.helo(conn, "client.example"), SMFIR_CONTINUE)
ask("mail", mt.mailfrom(conn, "<a@client.example>"), SMFIR_CONTINUE)
ask("trap", mt.rcptto(conn, "<hidden-page@example.com>"), SMFIR_CONTINUE)
ask("header", mt.header(conn, "Subject", "x"), SMFIR_REPLYCODE)
""",
}


@pytest.fixture(scope="module")
def gate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("miltertest")
    (folder / "edits.py").write_text(PLUGIN)
    server = Server(folder, LISTEN + '[[plugin]]\nuse = "edits.py"\n', traps=TRAPS)
    try:
        yield server
        server.stop()
    finally:
        server.kill()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_finds_what_it_expects(gate, tmp_path, name):
    if (program := peers.find("miltertest")) is None:
        pytest.skip("miltertest is missing")
    script = tmp_path / "script.lua"
    end = "\nmt.disconnect(conn)\n"
    script.write_text(PRELUDE.replace("{port}", str(port_of(gate))) + SCRIPTS[name] + end)
    argv = program.argv("-s", script)
    done = subprocess.run(argv, env=program.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
