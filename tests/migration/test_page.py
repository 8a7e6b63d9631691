"""docs/from-qpsmtpd-haraka.md: the example is true."""

from click.testing import CliRunner
from tests.docs.pages import blocks
from tests.migration.made import write_files

from gatepost.cli.commands import gatepost


def spaced(line):
    return " ".join(line.split())


def test_the_report_of_the_example_is_that_of_its_files(tmp_path):
    *examples, report = blocks("from-qpsmtpd-haraka", "text")
    assert len(examples) == 3
    files = {text.split()[1]: text for text in examples}
    more = {"config/dnsbl_zones": "zen.example\n", "config/me": "mx.example.com\n"}
    folder = write_files(tmp_path / "qpsmtpd", files | more)
    options = ["--out", str(tmp_path / "mail")]
    result = CliRunner().invoke(gatepost, ["import", "qpsmtpd", str(folder), *options])
    printed = [spaced(line) for line in result.stdout.splitlines()]
    expected = [spaced(line) for line in report.splitlines()]
    assert [line for line in expected if line not in printed] == []
