"""DKIM: verify and sign messages, RFC 6376 with RFC 8301, RFC 8463 and RFC 8616.

signatures = read_signatures(header_block)
hashes = BodyHashes(signatures)
hashes.update(chunk)                   # for each chunk of the body
hashes.finish()
results = await ask(verify(header_block, signatures, hashes, time.time()), resolver)
"""

from gatepost.mailauth.dkim.body import BodyHash
from gatepost.mailauth.dkim.body_hashes import BodyHashes
from gatepost.mailauth.dkim.fault import Fault
from gatepost.mailauth.dkim.header_block import HeaderBlock
from gatepost.mailauth.dkim.private_key import PrivateKey, PrivateKeyError, load_private_key
from gatepost.mailauth.dkim.sign import OVERSIGNED, SIGNED_IF_PRESENT, SignError, sign
from gatepost.mailauth.dkim.signature import Signature
from gatepost.mailauth.dkim.signatures import MOST_VERIFIED, read_signatures
from gatepost.mailauth.dkim.verify import DkimResult, verify

__all__ = [
    "MOST_VERIFIED",
    "OVERSIGNED",
    "SIGNED_IF_PRESENT",
    "BodyHash",
    "BodyHashes",
    "DkimResult",
    "Fault",
    "HeaderBlock",
    "PrivateKey",
    "PrivateKeyError",
    "SignError",
    "Signature",
    "load_private_key",
    "read_signatures",
    "sign",
    "verify",
]
