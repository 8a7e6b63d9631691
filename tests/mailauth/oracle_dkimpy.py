"""Sign and verify with dkimpy, in a Python that has it: JSON in, JSON out.

Not a test: tests/mailauth/oracles.py runs it.
"""

import base64
import json
import sys

import dkim

# dkimpy refuses to sign these; RFC 6376 section 5.4.1 advises against it.
REFUSED = {"received"}


def sign(job):
    names = [name.lower() for name in job["names"]]
    return dkim.sign(
        base64.b64decode(job["message"]),
        selector=job["selector"].encode(),
        domain=job["domain"].encode(),
        privkey=job["key"].encode(),
        canonicalize=(job["header"].encode(), job["body"].encode()),
        include_headers=[name.encode() for name in names if name not in REFUSED],
        signature_algorithm=job["algorithm"].encode(),
    ).decode()


def verify(job):
    def record(name, timeout=5):
        return job["records"].get(name.decode().rstrip("."), "").encode()

    try:
        message = dkim.DKIM(base64.b64decode(job["message"]))
        return "pass" if message.verify(dnsfunc=record) else "fail"
    except (dkim.DKIMException, ValueError, TypeError) as error:  # it decodes without a check
        return f"fail: {error}"


if __name__ == "__main__":
    jobs = json.load(sys.stdin)
    json.dump([sign(job) if job["op"] == "sign" else verify(job) for job in jobs], sys.stdout)
