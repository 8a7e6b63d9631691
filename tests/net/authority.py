"""Certificates for tests, made once, and the client side of TLS."""

import functools
import ssl

import trustme


@functools.cache
def authority():
    return trustme.CA()


@functools.cache
def other_authority():
    return trustme.CA()


@functools.cache
def issued(*names):
    return authority().issue_cert(*names, common_name=names[0])


def write(folder, *names, stem="cert", made=None):
    """Write a certificate with its key; return the paths."""
    made = made or issued(*names)
    cert, key = folder / f"{stem}.pem", folder / f"{stem}.key"
    cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())
    return cert, key


def write_authority(folder, made=None):
    path = folder / "ca.pem"
    (made or authority()).cert_pem.write_to_path(str(path))
    return path


def client_context(certificate=None, **attributes):
    """Return the context of a client that trusts the authority of the tests only."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


class MemoryTlsClient:
    """A TLS client in memory: `tls` is its TLS object, `codec` the server's."""

    def __init__(self, codec, context=None, name="mx.example.com"):
        self.codec = codec
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or client_context()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def handshake(self):
        """Do the handshake; return the octets that the server decrypted after it."""
        plain = b""
        done = False
        while not done:
            try:
                self.tls.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            plain += self.exchange()
        return plain

    def exchange(self, data=b""):
        """Send data from the client; return the octets that the server decrypted."""
        if data:
            self.tls.write(data)
        plain = self.codec.receive(self.outgoing.read())
        self.incoming.write(self.codec.outgoing())
        return plain

    def receive(self):
        """Return the octets that the client decrypts."""
        self.incoming.write(self.codec.outgoing())
        return self.tls.read()

    @property
    def certificate_names(self):
        """Return the names in the server's certificate."""
        return [name for _, name in self.tls.getpeercert()["subjectAltName"]]
