"""Certificates for tests, made once, and the clients' side of TLS."""

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
    """A client that believes the tests' authority and no other."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    for name, value in attributes.items():
        setattr(context, name, value)
    return context


class Shaken:
    """A handshake in memory: `client` and the server's `pump`, with nothing but bytes between."""

    def __init__(self, pump, context=None, name="mx.example.com"):
        self.pump = pump
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context or client_context()
        self.client = context.wrap_bio(self.incoming, self.outgoing, server_hostname=name)

    def shake(self):
        """Do the handshake; return what the server decrypted after it."""
        plain = b""
        done = False
        while not done:
            try:
                self.client.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                pass
            plain += self.exchange()
        return plain

    def exchange(self, data=b""):
        """Have the client say something; return what the server decrypted."""
        if data:
            self.client.write(data)
        plain = self.pump.receive(self.outgoing.read())
        self.incoming.write(self.pump.outgoing())
        return plain

    def heard(self):
        """Return what the client decrypts."""
        self.incoming.write(self.pump.outgoing())
        return self.client.read()

    @property
    def shown(self):
        """The names of the certificate the server has shown."""
        return [name for _, name in self.client.getpeercert()["subjectAltName"]]
