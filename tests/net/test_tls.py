"""Certificates from files: selection by server name, reload, errors."""

import os
import shutil
import ssl

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from tests.net.authority import MemoryTlsClient, client_context, issued, write

from gatepost.config.schema import (
    TLS_VERSIONS,
    CertificateConfig,
    Config,
    ListenConfig,
    TlsConfig,
)
from gatepost.net.tls import (
    DEFAULT_KINDS,
    KeyPair,
    ListenerTls,
    TlsError,
    key_pairs,
    kind_of,
    kinds_of,
)
from gatepost.net.tls_codec import TlsCodec, TlsFailedError

NAME = "mx.example.com"


def load_pair(folder, stem, *names, dns=None):
    pair = KeyPair(names, *write(folder, *(dns or names), stem=stem))
    pair.load()
    return pair


def shown_name(listener, name, context=None):
    client = MemoryTlsClient(TlsCodec(listener.context()), context or any_name(), name)
    client.handshake()
    return client.certificate_names[0]


def any_name():
    """Return the context of a client that accepts any name in the certificate."""
    return client_context(check_hostname=False)


def set_old_times(*paths):
    """Set time stamps in the past, different ones for each call."""
    set_old_times.age = getattr(set_old_times, "age", 0) + 1
    for path in paths:
        os.utime(path, ns=(0, set_old_times.age * 10**9))


@pytest.mark.parametrize(
    ("requested", "found"),
    [
        ("one.example", "one.example"),
        ("ONE.Example", "one.example"),
        ("two.example", "two.example"),
        ("mx.two.example", "wild.example"),
        ("a.mx.two.example", "any.example"),
        ("other.example", "any.example"),
        (None, "any.example"),
    ],
)
@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_first_matching_certificate_is_shown(tmp_path, kind, requested, found):
    pairs = [
        load_pair(tmp_path, "1", "one.example"),
        load_pair(tmp_path, "2", "two.example", "also.example"),
        load_pair(tmp_path, "3", "*.two.example", dns=["wild.example"]),
        load_pair(tmp_path, "4", "*", dns=["any.example"]),
        load_pair(tmp_path, "5", "*", "one.example", dns=["last.example"]),
    ]
    assert shown_name(ListenerTls(kind, pairs), requested) == found


def test_first_certificate_is_the_default_if_none_is_for_any_name(tmp_path):
    pairs = [load_pair(tmp_path, "1", "one.example"), load_pair(tmp_path, "2", "two.example")]
    assert shown_name(ListenerTls(DEFAULT_KINDS[1], pairs), "other.example") == "one.example"


OLD = [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1]
VERSIONS = [*OLD, ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def listener_from(folder, minimum, own=""):
    """Return a listener that is configured with a lowest version, perhaps of its own."""
    cert, key = write(folder, NAME)
    listen = ListenConfig(tls="starttls", tls_minimum=own)
    certificates = [CertificateConfig(cert=cert.name, key=key.name)]
    tls = TlsConfig(certificates=certificates, minimum=minimum)
    config = Config(listen=[listen], tls=tls, base=folder)
    (pair,) = key_pairs(config)
    pair.load()
    return ListenerTls(kind_of(config, listen), [pair])


def client_of(version):
    """Return the context of an old client, which speaks one version and RSA."""
    context = any_name()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("least", [0, 1, 2, 3])
@pytest.mark.parametrize("offered", [0, 1, 2, 3])
def test_a_listener_accepts_its_lowest_version_and_later_ones(tmp_path, own, least, offered):
    minimum = TLS_VERSIONS[least]
    listener = listener_from(
        tmp_path, *(("1.3" if least < 3 else "1.0", minimum) if own else (minimum,))
    )
    context = client_of(VERSIONS[offered])
    if offered >= least:
        assert shown_name(listener, NAME, context) == NAME
    else:
        with pytest.raises((TlsFailedError, ssl.SSLError)):
            shown_name(listener, NAME, context)


def test_listeners_of_one_configuration_have_their_own_lowest_version():
    listen = [ListenConfig(tls="starttls"), ListenConfig(tls="starttls", tls_minimum="1.3")]
    config = Config(listen=[*listen, ListenConfig(), *listen])
    assert kinds_of(config) == (("starttls", "1.2"), ("starttls", "1.3"))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_tls_before_1_2_is_refused(tmp_path, version):
    listener = ListenerTls(DEFAULT_KINDS[1], [load_pair(tmp_path, "1", NAME)])
    with pytest.warns(DeprecationWarning, match="deprecated"):
        context = client_context(minimum_version=version, maximum_version=version)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((TlsFailedError, ssl.SSLError)):
        shown_name(listener, NAME, context)


def test_kinds_of_listeners_do_not_share_a_context(tmp_path):
    pair = load_pair(tmp_path, "1", NAME)
    assert len(set(pair.contexts.values())) == len(DEFAULT_KINDS)


def test_new_certificate_is_shown_after_a_refresh(tmp_path):
    pair = load_pair(tmp_path, "1", "*", dns=[NAME])
    listener = ListenerTls(DEFAULT_KINDS[0], [pair])
    set_old_times(*write(tmp_path, "new.example", stem="1"))
    assert shown_name(listener, "new.example") == NAME
    change = pair.refresh()
    assert (change.path, change.problem) == (tmp_path / "1.pem", "")
    assert shown_name(listener, "new.example") == "new.example"
    assert pair.refresh() is None
    pair.close()


def test_server_name_selects_the_certificate_after_a_renewal(tmp_path):
    pairs = [load_pair(tmp_path, "1", "*", dns=[NAME]), load_pair(tmp_path, "2", "two.example")]
    listener = ListenerTls(DEFAULT_KINDS[0], pairs)
    set_old_times(*write(tmp_path, "new.example", stem="1"))
    pairs[0].refresh()
    assert shown_name(listener, "two.example") == "two.example"


def test_half_written_renewal_is_not_reported(tmp_path):
    pair = load_pair(tmp_path, "1", NAME)
    key = (tmp_path / "1.key").read_bytes()
    cert, new_key = write(tmp_path, "new.example", stem="1")
    renewed = new_key.read_bytes()
    new_key.write_bytes(key)
    set_old_times(cert, new_key)
    assert pair.refresh() is None
    new_key.write_bytes(renewed)
    assert pair.refresh().problem == ""


def test_mismatched_pair_is_reported_once_and_the_old_one_stays(tmp_path):
    pair = load_pair(tmp_path, "1", NAME)
    listener = ListenerTls(DEFAULT_KINDS[0], [pair])
    shutil.copy(write(tmp_path, "other.example", stem="2")[1], tmp_path / "1.key")
    set_old_times(tmp_path / "1.pem", tmp_path / "1.key")
    changes = [pair.refresh() for _ in range(4)]
    assert [change is None for change in changes] == [True, False, True, True]
    assert changes[1].problem == (
        f"{tmp_path}/1.pem: cannot be used: the certificate and the key do not belong together"
        f" (key {tmp_path}/1.key)"
    )
    assert shown_name(listener, NAME) == NAME
    set_old_times(*write(tmp_path, NAME, stem="1"))
    assert pair.refresh().problem == ""


def test_missing_file_is_reported_once_and_the_old_pair_stays(tmp_path):
    pair = load_pair(tmp_path, "1", NAME)
    listener = ListenerTls(DEFAULT_KINDS[0], [pair])
    (tmp_path / "1.key").unlink()
    problem = f"{tmp_path}/1.key: cannot be read: No such file or directory"
    assert pair.refresh().problem == problem
    assert pair.refresh() is None
    assert shown_name(listener, NAME) == NAME
    write(tmp_path, NAME, stem="1")
    assert pair.refresh().problem == ""


def encrypted_key(folder):
    key = serialization.load_pem_private_key(issued(NAME).private_key_pem.bytes(), None)
    (folder / "1.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )


BROKEN = {
    "no PEM": (
        lambda folder: (folder / "1.pem").write_text("hello"),
        "{0}/1.pem: cannot be used: expected a certificate and a key in PEM form (key {0}/1.key)",
    ),
    "no certificate": (
        lambda folder: (folder / "1.pem").unlink(),
        "{0}/1.pem: cannot be read: No such file or directory",
    ),
    "a folder": (
        lambda folder: ((folder / "1.key").unlink(), (folder / "1.key").mkdir()),
        "{0}/1.pem: cannot be used: Is a directory (key {0}/1.key)",
    ),
    "a passphrase": (
        encrypted_key,
        (
            "{0}/1.pem: cannot be used: the key is encrypted, expected one without a passphrase"
            " (key {0}/1.key)"
        ),
    ),
    "an invalid authority": (
        lambda folder: (folder / "ca.pem").write_text("hello"),
        "{0}/ca.pem: cannot be used: expected a certificate in PEM form",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_unusable_files_raise_at_load(tmp_path, kind):
    breaking, problem = BROKEN[kind]
    pair = KeyPair(["*"], *write(tmp_path, NAME, stem="1"), tmp_path / "ca.pem")
    (tmp_path / "ca.pem").write_bytes((tmp_path / "1.pem").read_bytes())
    pair.load()
    breaking(tmp_path)
    with pytest.raises(TlsError) as caught:
        pair.load()
    assert str(caught.value) == problem.format(tmp_path)


def test_key_pairs_of_a_configuration(tmp_path):
    one = CertificateConfig(names=["*", "mx.example"], cert="a.pem", key="/b.key")
    config = Config(
        listen=[ListenConfig(), ListenConfig(tls="starttls")],
        tls=TlsConfig(certificates=[one]),
        base=tmp_path,
    )
    (pair,) = key_pairs(config)
    assert (pair.names, pair.path) == (("*", "mx.example"), tmp_path / "a.pem")
    assert key_pairs(msgspec.structs.replace(config, listen=[ListenConfig()])) == []
