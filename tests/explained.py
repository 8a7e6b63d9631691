"""Every refusal that any test provokes can be explained.

`watching` collects the references that servers of this process give to their replies, and the
records that they make. `unexplained` compares them: each reference must be in a record whose
explanation names what decided.
"""

import contextlib

from gatepost.ledger.records import Connection, Transaction, decode, encode
from gatepost.ledger.words.explain import explain
from gatepost.ledger.words.fitting import plain
from gatepost.ledger.words.reasons import Reason, explain_answer
from gatepost.ledger.words.story import story_of
from gatepost.model.reply import Reply
from gatepost.session import assemble
from gatepost.session.log import LogRecorder
from gatepost.session.recording import fan_out

# The words for what has no words of its own.
GENERIC = Reason("The core of the server decided.")


class Watched:
    """The references that were given, with the code of the reply, and the records."""

    def __init__(self):
        self.references = {}
        self.records = []

    def unexplained(self):
        """Yield the references that no record explains; sessions that are still open have none."""
        records = [decode(encode(one)) for one in self.records]
        ended = {one.ref for one in records if type(one) is Connection}
        for reference, code in self.references.items():
            session = reference.partition(".")[0]
            if session in ended:
                related = [one for one in records if session in _references(one)]
                if problem := _problem(reference, code, related):
                    yield f"{code} [{reference}]: {problem}"


def _references(record):
    if type(record) is Transaction:
        return (record.ref, record.session)
    return (record.ref,) if type(record) is Connection else ()


def _problem(reference, code, records):
    answers = [
        answer
        for record in records
        for answer in record.answers
        if f"[{reference}]" in answer.reply and answer.reply.startswith(str(code))
    ]
    if not answers:
        return "no record has the reply"
    if any(explain_answer(one) == GENERIC for one in answers):
        return f"no words for {answers}"
    story = story_of(reference, records)
    if story is None:
        return "no story"
    text = "\n".join(map(plain, explain(story)))
    return "" if reference in text else f"not named in:\n{text}"


@contextlib.contextmanager
def watching(monkeypatch):
    """Yield the replies and records of the servers of this process from now on."""
    watched = Watched()
    make_recorder, with_reference = assemble._recorder, Reply.with_reference

    def recorder(config, inner, records, *others):
        if records is None and not (inner is None or isinstance(inner, LogRecorder)):
            return make_recorder(config, inner, None, *others)
        sinks = [watched.records.append] if records is None else [watched.records.append, records]
        return make_recorder(config, inner, fan_out(sinks), *others)

    def referring(reply, reference):
        made = with_reference(reply, reference)
        if made.code >= 400 and not reply.reference:
            watched.references[reference] = made.code
        return made

    with monkeypatch.context() as patch:
        patch.setattr(assemble, "_recorder", recorder)
        patch.setattr(Reply, "with_reference", referring)
        yield watched
