"""What the fields of a target's text stand for: the parts of a recipient's address."""

from gatepost.model.address import domain_key, local_key
from gatepost.model.session import Recipient


def mailbox_fields(recipient: Recipient, hostname: str) -> dict[str, str]:
    """Return the values of `{local}`, `{user}` and `{domain}`.

    The first two are the local part in lower case without subaddress; `hostname`, in lower case,
    stands for the domain of `<postmaster>`.
    """
    user = recipient.user or local_key(recipient.address.local)
    domain = domain_key(recipient.address.domain) or hostname
    return {"local": user, "user": user, "domain": domain}
