"""docs/guides/dovecot.md, followed literally."""

from tests.guides.guide import Guide


def test_gatepost_delivers_to_dovecot(certified):
    Guide("debian", certified).follow("Install", "Certificate")
    Guide("dovecot", certified).follow("Configure Dovecot", "Configure Gatepost", "Verify")
    check = "runuser -u gatepost -- test -w /run/dovecot/lmtp"
    assert check in Guide("dovecot", certified).page.read_text("utf-8")
    assert certified.run(check).returncode == 0
