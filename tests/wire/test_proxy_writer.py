"""PROXY headers as Gatepost sends them, read by its own parser."""

import pytest

from gatepost.model.endpoint import Endpoint
from gatepost.wire.proxy import parse_proxy_header
from gatepost.wire.proxy_writer import write_proxy_header

V4 = Endpoint("192.0.2.1", 40000), Endpoint("192.0.2.9", 25)
V6 = Endpoint("2001:db8::1", 40000), Endpoint("::1", 25)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ends", [V4, V6])
def test_a_written_header_is_read_back(version, ends):
    data = write_proxy_header(version, *ends)
    header, length = parse_proxy_header(data + b"EHLO x\r\n")
    assert length == len(data)
    assert (header.version, header.source, header.destination) == (version, *ends)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("ends", [(V4[0], V6[1]), (Endpoint("unix"), V4[1]), (V4[0], Endpoint(""))])
def test_unusable_addresses_are_left_out(version, ends):
    header, _ = parse_proxy_header(write_proxy_header(version, *ends))
    assert (header.source, header.destination) == (None, None)
