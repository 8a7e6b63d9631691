"""Why a signature does not pass: a result of RFC 8601 section 2.7.1 and a reason for people.

The results are chosen as follows.

- neutral: the field is malformed, or uses an extension that is not supported.
- permerror: the signature or its key breaks a requirement of RFC 6376, RFC 8301 or RFC 8463.
- policy: the signature may be correct, but is not accepted here (short key, expired, l=).
- temperror: the DNS did not answer.
- fail: the signature does not match the message.
"""

from typing import Literal, TypeAlias

from gatepost.model.structs import Frozen

Word: TypeAlias = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]


class Fault(Frozen, frozen=True):
    """A result that is not a pass, and its reason: a part of a sentence, without a final stop."""

    result: Word
    reason: str


class SignatureError(ValueError):
    """A signature or a key that cannot be used; `fault` has the result and the reason."""

    def __init__(self, result: Word, reason: str) -> None:
        super().__init__(reason)
        self.fault = Fault(result, reason)

    @classmethod
    def of(cls, fault: Fault, prefix: str = "") -> "SignatureError":
        """Return the error of a fault, with a text in front of its reason."""
        return cls(fault.result, prefix + fault.reason)
