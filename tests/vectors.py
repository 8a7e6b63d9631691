"""Byte sequences that several test packages send."""

# Sequences that some servers wrongly accept as the end of a message (SMTP smuggling).
SMUGGLING = [
    b"\n.\n",
    b"\n.\r",
    b"\r.\n",
    b"\r.\r",
    b"\n.\r\n",
    b"\r.\r\n",
    b"\r\n.\n",
    b"\r\n.\r",
    b"\r\n\0.\r\n",
    b"\r\n.\r\r\n",
    b"\r\r\n.\r\r\n",
]

# The recipients of the nmap script smtp-open-relay, here elsewhere.example by mx.example.com.
NMAP_RELAY = [
    b"<relaytest@elsewhere.example>",
    b"<relaytest%elsewhere.example@[127.0.0.1]>",
    b"<relaytest%elsewhere.example@mx.example.com>",
    b'<"relaytest@elsewhere.example">',
    b'<"relaytest%elsewhere.example">',
    b"<relaytest@elsewhere.example@[127.0.0.1]>",
    b'<"relaytest@elsewhere.example"@[127.0.0.1]>',
    b"<relaytest@elsewhere.example@mx.example.com>",
    b"<@[127.0.0.1]:relaytest@elsewhere.example>",
    b"<@mx.example.com:relaytest@elsewhere.example>",
    b"<elsewhere.example!relaytest>",
    b"<elsewhere.example!relaytest@[127.0.0.1]>",
    b"<elsewhere.example!relaytest@mx.example.com>",
    b"relaytest@elsewhere.example",
    b"<@example.com:relaytest@elsewhere.example>",
    b"<@[127.0.0.1],@example.com:relaytest@elsewhere.example>",
]
# The same forms with a local domain.
LOCAL_RELAY = [
    b"<relaytest%elsewhere.example@example.com>",
    b"<elsewhere.example!relaytest@example.com>",
    b'<"relaytest@elsewhere.example"@example.com>',
]
