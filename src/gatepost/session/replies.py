"""The session's own replies, each with the section that requires it."""

from typing import Final

from gatepost.model.reply import Reply

# RFC 5321 s4.2.3, enhanced codes of RFC 3463
OK: Final = Reply(250, "Ok", "2.0.0")
CHUNK_OK: Final = Reply(250, "Chunk received", "2.0.0")
SENDER_OK: Final = Reply(250, "Sender ok", "2.1.0")
RECIPIENT_OK: Final = Reply(250, "Recipient ok", "2.1.5")
CLOSING: Final = Reply(221, "Closing connection", "2.0.0", close=True)
# RFC 5321 s3.5.3: 252 where an address is neither confirmed nor denied
CANNOT_VERIFY: Final = Reply(
    252, "Cannot VRFY user, but will accept message and attempt delivery", "2.5.0"
)
NOT_IMPLEMENTED: Final = Reply(502, "Command not implemented", "5.5.1")
UNKNOWN_COMMAND: Final = Reply(500, "Command not recognised", "5.5.1")
HELP: Final = Reply(
    214, "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT", "2.0.0"
)
HELP_LMTP: Final = Reply(
    214, "Commands: LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT", "2.0.0"
)

# RFC 4954 s4 and s6
AUTHENTICATED: Final = Reply(235, "Authentication succeeded", "2.7.0")
AUTH_UNKNOWN: Final = Reply(504, "Authentication mechanism not offered", "5.5.4")
AUTH_MALFORMED: Final = Reply(501, "Syntax error in the authentication exchange", "5.5.2")
TOO_MANY_AUTH_FAILURES: Final = Reply(421, "Too many authentication failures", "4.7.0", close=True)

# RFC 3207 s4
START_TLS: Final = Reply(220, "Ready to start TLS", "2.0.0")

# RFC 5321 s3.8 and s4.5.3.2: the connection is closed after these
TOO_MANY_ERRORS: Final = Reply(421, "Too many errors", "4.7.0", close=True)
TOO_MANY_IDLE_COMMANDS: Final = Reply(
    421, "Too many commands without a message", "4.7.0", close=True
)
TIMED_OUT: Final = Reply(421, "Timeout exceeded", "4.4.2", close=True)
EARLY_TALKER: Final = Reply(
    554, "SMTP protocol violation: data sent before the greeting", "5.5.1", close=True
)
SESSION_TOO_LONG: Final = Reply(
    421, "Session time limit exceeded, connect again", "4.7.0", close=True
)
SHUTTING_DOWN: Final = Reply(421, "Server shutting down, try again later", "4.3.2", close=True)
ENDED: Final = Reply(
    421, "Session ended by the administrator, try again later", "4.3.2", close=True
)
TOO_MANY_CONNECTIONS: Final = Reply(
    421, "Too many connections, try again later", "4.7.0", close=True
)
INTERNAL_ERROR: Final = Reply(421, "Internal error, try again later", "4.3.0", close=True)
