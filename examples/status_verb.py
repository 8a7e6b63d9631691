"""Add a command of your own, with its keyword in the reply to EHLO.

    [[plugin]]
    use = "plugins/status_verb.py"

With `junk=False` the command does not count towards `limits.junk_commands`.
"""

from gatepost import Decision, Plugin, Session, Verb, accept


class StatusVerb(Plugin):
    """Answers XSTATUS."""

    commands = {"XSTATUS": Verb(junk=False, max_arguments=0)}  # noqa: RUF012 - the class of the base

    def on_ehlo(self, _session: Session, keywords: list[str]) -> None:
        """Announce the command."""
        keywords.append("XSTATUS")

    def on_command(self, session: Session, _verb: str, _text: str) -> Decision:
        """Reply to it."""
        return accept(f"{session.messages} messages in this session", code=211)
