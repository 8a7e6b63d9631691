"""ARC: verify the chain of a message, RFC 8617. Nothing is sealed here.

chain = read_chain(header_block)
hashes = BodyHashes([*signatures, *chain.signatures])    # of DKIM and ARC together
...
result = await ask(verify_chain(chain, hashes, time.time()), resolver)
"""

from gatepost.mailauth.arc.chain import ArcSet, Chain, read_chain
from gatepost.mailauth.arc.seal import MOST_SETS
from gatepost.mailauth.arc.verify import ArcResult, verify_chain

__all__ = ["MOST_SETS", "ArcResult", "ArcSet", "Chain", "read_chain", "verify_chain"]
