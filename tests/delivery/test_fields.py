"""The values of fields in the text of a target."""

import pytest

from gatepost.delivery.fields import mailbox_fields
from gatepost.model.address import Address
from gatepost.model.session import Recipient


@pytest.mark.parametrize(
    ("local", "user", "tag"),
    [
        ("Ann", "ann", ""),
        ("Ann+News", "ann", "news"),
        ("ann-a+b", "ann", "a+b"),
        ("ann+", "ann", ""),
        ("+ann", "+ann", ""),
        ("ann+../x", "ann", "../x"),
    ],
)
def test_the_local_part_has_a_user_and_a_tag(local, user, tag):
    """Templates and command lines make the values safe."""
    found = mailbox_fields(Recipient(Address(local, "Example.COM"), {}, user), "mx.example.com")
    assert found == {"local": user, "user": user, "domain": "example.com", "tag": tag}
