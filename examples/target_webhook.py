"""A delivery target that POSTs each message to a web service.

    [[route]]
    for = ["tickets@example.com"]
    to = "webhook:https://tickets.example.com/mail"

Publish it in a package with this entry point:

    [project.entry-points."gatepost.targets"]
    webhook = "target_webhook:WebhookTarget"

The body is the message, the headers X-Mail-From and X-Rcpt-To are the envelope, percent-encoded.
A 2xx response takes the message, 400, 413 and 422 refuse it, any other problem defers it.

Limits: the message is in memory while it is sent. A delivery that is cancelled may have arrived.
"""

import asyncio
from typing import Self
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from gatepost import Delivery, DeliveryError, Target, TargetSpec

TIMEOUT = 30.0  # seconds
REFUSED = (400, 413, 422)


class WebhookTarget(Target):
    """Delivers to a web service."""

    final_delivery = False

    def __init__(self, url: str) -> None:
        self._url = url

    @classmethod
    def from_route(cls, spec: TargetSpec) -> Self:
        """Return the target for `webhook:URL`."""
        if not spec.text.startswith(("http://", "https://")):
            raise ValueError(f"expected a URL such as https://host/path, found {spec.text!r}")
        return cls(spec.text)

    async def deliver(self, delivery: Delivery) -> None:
        """POST the message; urllib blocks, so it runs in a thread."""
        headers = {
            "Content-Type": "message/rfc822",
            "X-Mail-From": quote(str(delivery.transaction.reverse_path), safe="@"),
            "X-Rcpt-To": ",".join(quote(str(one.address), safe="@") for one in delivery.recipients),
        }
        request = Request(self._url, bytes(delivery.message), headers)  # noqa: S310 - see above
        await asyncio.to_thread(self._post, request)

    def _post(self, request: Request) -> None:
        try:
            with urlopen(request, timeout=TIMEOUT):  # noqa: S310 - from_route checks the scheme
                pass
        except HTTPError as error:
            refused = error.code in REFUSED
            text = "Message refused" if refused else "Web service unavailable"
            raise DeliveryError(text, refused, detail=f"{self._url}: {error}") from error
        except OSError as error:
            detail = f"{self._url}: {error}"
            raise DeliveryError("Web service unavailable", detail=detail) from error
