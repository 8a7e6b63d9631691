"""Messages of other projects: the parts of those of mail-parser, the files of those of rspamd."""

import os
import re
from pathlib import Path

import pytest

from gatepost.plugins._attachments import Inspection, Policy
from gatepost.plugins._file_names import AFTER_DOCUMENTS, FORBIDDEN
from gatepost.plugins._mime import Limits, read
from gatepost.plugins._unpacking import Budget
from gatepost.plugins.mime import defects_of

SUITE = Path(__file__).parents[1] / "suites" / "mime-mail-parser"
OTHERS = os.environ.get("GATEPOST_SUITES", "")

# Messages in which more parts are found than mail-parser finds, and the reason.
MORE_PARTS = {
    "malformed/000.eml": "parts without an empty line behind their header",
    "malformed/005.eml": "a part behind the end of its multipart",
    "malformed/009.eml": "a part without content behind the last boundary",
    "malformed/011.eml": "a part without content behind the last boundary",
    "malformed/012.eml": "a part without content behind the last boundary",
    "malformed/013.eml": "a part without content behind the last boundary",
    "malformed/014.eml": "a part without content behind the last boundary",
    "malformed/020.eml": "parts of a multipart with two Content-Type fields",
    "malformed/021.eml": "parts of a multipart with two Content-Type fields",
    "malformed/022.eml": "the part in a message whose header is malformed",
    "thirdparty/015.eml": "messages in a multipart that is empty for mail-parser",
}
# The defects of the malformed messages; the others have none, apart from MIME-Version.
DEFECTS = {
    "001": "after_end no_parts unclosed",
    "002": "no_parts",
    "003": "repeated_boundary unclosed",
    "004": "odd_delimiter repeated_boundary unclosed",
    "005": "after_end repeated_boundary unclosed",
    "006": "unclosed",
    "007": "odd_delimiter",
    "008": "unclosed",
    "009": "unclosed",
    "011": "unclosed",
    "012": "unclosed",
    "013": "repeated_boundary unclosed",
    "014": "unclosed",
    "016": "after_end long_boundary unclosed",
    "017": "bad_type",
    "018": "quoted_printable",
    "019": "bad_header repeated_boundary unclosed undeclared_8bit",
    "020": "duplicate_field unclosed",
    "021": "duplicate_field unclosed",
    "022": "bad_header",
}
# The cases of rspamd about files, the finding, and the name.
RSPAMD = {
    "zip.eml": ("extension", "fake.exe"),
    "zip-doublebad.eml": ("extension", "fake.pdf.exe"),
    "next2last-doublebad.eml": ("extension", "файл.scr"),
    "rar-date-bad-ext.eml": ("extension", "06.12.2017.scr"),
    "bad_ext.dotted_file_name.eml": ("extension", "bad_ext.dotted_file_name.exe"),
    "next2last-digits_in_parens.eml": ("extension", "pdf417(3.2.4).msi"),
    "next2last-digits_in_brackets.eml": ("extension", "pdf417(3.2.4).msi"),
    "rar4.eml": ("extension", "fake.exe"),
    "exe_attm.eml": ("extension", "hello_world.exe"),
    "broken_richtext.eml": ("extension", "eicar.com"),
}


def content(path):
    return re.sub(rb"\r?\n", b"\r\n", path.read_bytes())


def cases():
    lines = (SUITE / "expected.tsv").read_text().splitlines()[1:]
    return [tuple(line.split("\t")) for line in lines]


def found_in(path):
    policy = Policy(frozenset(FORBIDDEN), after_documents=frozenset(AFTER_DOCUMENTS))
    inspection = Inspection(policy, Budget())
    inspection.message(content(path))
    return inspection.findings


def is_subsequence(types, found):
    rest = iter(found)
    return all(any(one in ("-", other) for other in rest) for one in types)


def test_the_suite_is_there():
    assert len(cases()) == 53


@pytest.mark.parametrize(("name", "types", "files"), cases())
def test_the_parts_and_names_of_mail_parser_are_found(name, types, files):
    parts = read(content(SUITE / name)).parts
    kinds = [part.kind for part in parts]
    assert is_subsequence(types.split(), kinds)
    assert (len(kinds) > len(types.split())) == (name in MORE_PARTS)
    assert set(filter(None, files.split("|"))) <= {one for part in parts for one in part.names}


@pytest.mark.parametrize("path", sorted(SUITE.glob("malformed/*.eml")), ids=lambda path: path.stem)
def test_the_defects_of_malformed_messages(path):
    defects = defects_of(content(path), Limits()).keys() - {"no_version"}
    assert defects == set(DEFECTS.get(path.stem, "").split())


@pytest.mark.skipif(not OTHERS, reason="the messages of rspamd: GATEPOST_SUITES is not set")
@pytest.mark.parametrize(("name", "expected"), RSPAMD.items())
def test_the_files_of_rspamd_are_found(name, expected):
    folder = Path(OTHERS, "rspamd-messages/test/functional/messages")
    assert expected in {(one.kind, one.name) for one in found_in(folder / name)}


@pytest.mark.skipif(not OTHERS, reason="the messages of rspamd: GATEPOST_SUITES is not set")
def test_other_messages_of_rspamd_have_no_file_that_is_refused():
    folder = Path(OTHERS, "rspamd-messages/test/functional/messages")
    refused = {
        path.name
        for path in folder.rglob("*.eml")
        for one in found_in(path)
        if one.kind not in ("malformed", "broken")
    }
    assert refused == set(RSPAMD)
