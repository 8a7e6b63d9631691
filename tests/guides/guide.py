"""A guide, followed literally: its files are written and its commands are run in a machine.

A block is one of these; blocks in other languages are not used:

- a file: any language, the first line is a comment with its absolute path, and a script follows
  with its own first line
- `sh`: commands for the root of the machine, or of another machine if the first line is
  `# on another machine`. They must succeed, unless the output shown has a refusal of swaks
- `text` after `sh`: lines that must occur in the output, `…` stands for anything

Nothing is replaced in the blocks. `console` blocks need the Internet and are not run.
"""

import re
from fnmatch import fnmatchcase

from tests.docs.pages import DOCS
from tests.e2e.server import eventually

SECTION = re.DOTALL | re.MULTILINE
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", SECTION)
FILE = re.compile(r"\A# (/\S+)\n")
ELSEWHERE = "# on another machine\n"
# Commands that change nothing, so that they can be repeated until a log has the expected line.
READ_ONLY = re.compile(
    r"\A(?:grep |journalctl |ref=|for ref |cd /etc/gatepost\ngatepost traps report\n)"
)


class Guide:
    """One page of docs/guides, and the machine on which it is followed."""

    def __init__(self, name, machine):
        self.page = DOCS / "guides" / f"{name}.md"
        self.machine = machine

    def follow(self, *headings):
        """Write the files and run the commands of these sections; check the output shown."""
        for heading in headings:
            self.play(self.blocks(heading))

    def blocks(self, heading):
        """The language and text of each block between a heading of level 2 and the next one."""
        text = self.page.read_text("utf-8")
        found = re.search(rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", text, SECTION)
        assert found, f"no section {heading} in {self.page.name}"
        blocks = BLOCK.findall(found[1])
        assert blocks, f"no block in section {heading} of {self.page.name}"
        return blocks

    def play(self, blocks):
        followed = [*blocks[1:], ("", "")]
        for (language, text), (after, shown) in zip(blocks, followed, strict=True):
            if file := FILE.match(text):
                self.machine.write(file[1], text if language != "sh" else text[file.end() :])
            elif language == "sh":
                self.run(text, shown.splitlines() if after == "text" else [])

    def run(self, commands, shown):
        if READ_ONLY.match(commands):
            eventually(lambda: not missing(shown, self.output(commands, check=False)))
        refused = any(line.startswith("<**") for line in shown)
        output = self.output(commands, check=not refused)
        assert not missing(shown, output), output

    def output(self, commands, *, check=True):
        done = self.machine.run(commands, outside=commands.startswith(ELSEWHERE))
        assert not check or done.returncode == 0, f"{commands}\n{done.stdout}"
        return done.stdout


def missing(shown, output):
    """The expected lines that the output does not have."""
    lines = [line.strip() for line in output.splitlines()]
    return [one for one in shown if not any(fnmatchcase(line, pattern(one)) for line in lines)]


def pattern(line):
    """The pattern of an expected line, in which only … is special."""
    return re.sub(r"([][*?])", r"[\1]", line.strip()).replace("…", "*")
