"""Hosts of the links in a message."""

import base64
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.plugins import _uris
from gatepost.plugins._uris import find_hosts, host_of

PLAIN = b"Subject: x\r\n\r\n"
HTML = b"Content-Type: text/html; charset=utf-8\r\n\r\n"
LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
NAME = st.builds("{}.{}.example".format, LABEL, LABEL)


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("see http://a.example/path?x=1#y", ["a.example"]),
        ("HTTPS://A.Example", ["a.example"]),
        ("(ftp://a.example), <http://b.example>.", ["a.example", "b.example"]),
        ("http://a.example. And", ["a.example"]),
        ("www.a.example, www.a.example.", ["www.a.example"]),
        ("http:\\\\a.example\\x", ["a.example"]),
        ("http://user:pw@a.example:8080/", ["a.example"]),
        ("http://good.example@a.example/", ["a.example"]),
        ("http://%61.ex%61mple/", ["a.example"]),
        ("http://b\u00fccher.example/", ["xn--bcher-kva.example"]),
        ("http://a\u3002example/ http://b\uff0eexample", ["a.example", "b.example"]),
        ("http://a\u00ad.example/", ["a.example"]),
        ("http://192.0.2.1/ http://3221225986/", ["192.0.2.1", "192.0.2.2"]),
        ("http://0xC0.0.0x2.03/ http://0300.513", ["192.0.2.3", "192.0.2.1"]),
        ("http://[2001:db8::1]:80/ http://[::ffff:192.0.2.1]/", ["2001:db8::1", "192.0.2.1"]),
        ("http://a_b.example", ["a_b.example"]),
        ("xhttp://a.example", ["a.example"]),
        ("mailto:a@b.example a.example x.www.a.example @www.a.example", []),
        ("http:// http:///// http://. http://- http://localhost http://[x]/", []),
        ("http://1.2.3.4.5/ http://999.1.1.1/ http://4294967296/ http://0x/", ["0.0.0.0"]),
        (f"http://{'a' * 64}.example http://{'a.' * 120}example", []),
        (f"http://{'u' * 9000}@a.example/", ["a.example"]),
    ],
)
def test_links_in_text(text, hosts):
    assert find_hosts(PLAIN + text.encode()) == hosts


@pytest.mark.parametrize(
    ("html", "hosts"),
    [
        ('<a href="http://a.example/">x</a>', ["a.example"]),
        ("<a HREF = 'http://a.example'>", ["a.example"]),
        ("<a href=http://a.example/x>", ["a.example"]),
        ('<a href="//a.example/x">', ["a.example"]),
        ('<a href="http:a.example">', ["a.example"]),
        ('<a href=" ht\r\n\ttp://a.exa\nmple/">', ["a.example"]),
        ('<a href="&#104;ttp&colon;&sol;&#x2f;a.example">', ["a.example"]),
        (
            '<img src="https://a.example/x.png"><form action="http://b.example">',
            ["a.example", "b.example"],
        ),
        ('<a href="http://a(b@c.example/">', ["c.example"]),
        ('<a href="http://a.example&#46;evil.example/">', ["a.example.evil.example"]),
        ('<a href="/path"><a href="#x"><a href="">', []),
        ('<a href="http://a.example', ["a.example"]),
        ("&#0; &#1114112; &#xD800; &#99999999999; &amp; http://a.example", ["a.example"]),
    ],
)
def test_links_in_html(html, hosts):
    assert sorted(find_hosts(HTML + html.encode())) == hosts


def multipart(*parts, boundary="sep"):
    lines = [f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\npreamble']
    lines += [f"\r\n--{boundary}\r\n{one}" for one in parts]
    return "".join([*lines, f"\r\n--{boundary}--\r\nhttp://epilogue.example"]).encode()


def test_all_text_parts_are_decoded():
    encoded = base64.encodebytes(b"http://b.example/").decode().replace("\n", "\r\n")
    quoted = quopri.encodestring(b'<a href="http://c.example/">').decode()
    quoted = quoted.replace("exam", "ex=\r\nam")
    nested = multipart("\r\nhttp://d.example", boundary="inner").decode()
    content = multipart(
        "\r\nhttp://a.example",
        f"Content-Transfer-Encoding: BASE64\r\n\r\n{encoded}",
        f"Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n{quoted}",
        nested,
        f"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n{nested.replace('d.ex', 'e.ex')}",
        "Content-Type: image/png\r\n\r\nhttp://picture.example",
        "Content-Type: text/plain; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode("http://f.example".encode("utf-16")).decode(),
        "Content-Type: text/plain; charset=punycode\r\n\r\nhttp://g.example",
    )
    assert find_hosts(content) == [f"{one}.example" for one in "abcdefg"]


def test_a_delimiter_that_no_header_declares_does_not_end_a_part():
    content = multipart(
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        "--other\r\nContent-Transfer-Encoding: base64\r\n\r\nhttp://a.exam=\r\nple"
    )
    assert find_hosts(content) == ["a.example"]


def test_joined_base64_is_decoded():
    text = base64.b64encode(b"http://a.exampl") + base64.b64encode(b"e/ x") + b"\r\n*"
    assert find_hosts(b"Content-Transfer-Encoding: base64\r\n\r\n" + text) == ["a.example"]


def test_of_too_many_hosts_the_first_and_the_last_are_found():
    text = " ".join(f"http://h{number}.example" for number in range(2000))
    found = find_hosts(PLAIN + text.encode())
    assert len(found) == _uris.MOST_HOSTS
    assert (found[0], found[-1]) == ("h0.example", "h1999.example")


@given(NAME, st.sampled_from(["7bit", "base64", "quoted-printable"]), st.booleans())
def test_a_link_is_found_in_any_encoding(host, encoding, html):
    message = EmailMessage()
    text = f'<p><a title="=" href="http://{host}/x">y</a></p>' if html else f"y\nhttp://{host}/x\n"
    message.set_content(text, subtype="html" if html else "plain", cte=encoding)
    message.add_attachment(b"http://data.example", maintype="image", subtype="png")
    found = find_hosts(message.as_bytes().replace(b"\n", b"\r\n"))
    assert found == [host]


@given(st.binary(max_size=300))
def test_any_octets_are_read(content):
    for host in find_hosts(content):
        assert host.isascii()


PIECES = (
    *("http://", "href=", '"', "'", "&#x", ";", "\r\n", "--b", "=", "a.example", "@", "%", "["),
    *("Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: base64", ":", "é"),
    *("Content-Type: message/rfc822", "Content-Type: text/html; charset=utf-16", "--", "//", " "),
)


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
def test_any_order_of_pieces_is_read(text):
    for host in find_hosts(text.encode()):
        assert host in ("", host.lower())
        assert len(host) <= 255


@given(st.text(max_size=80))
def test_any_authority_has_a_host_or_none(authority):
    host = host_of(authority)
    assert host.isascii()
    assert not set(host) & set(" /@\\%\r\n")
    assert host_of(host if ":" not in host else f"[{host}]") == host
