"""The links to the pages that allow and forgive a sender: of a message, or of a dossier."""

from urllib.parse import urlencode

from gatepost.web.allows import PATH as ALLOW
from gatepost.web.table import Action
from gatepost.web.views.forgiving import PATH as FORGIVE


def sender_actions(*, ref: str = "", q: str = "") -> list[Action]:
    """Return the changes about the sender of a reference, or about the subject of a dossier."""
    given = {"ref": ref} if ref else {"q": q}
    return [
        Action("Allow until…", f"{ALLOW}?{urlencode(given)}"),
        Action("Forgive", f"{FORGIVE}?{urlencode({'what': ref or q})}"),
    ]
