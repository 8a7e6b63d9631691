"""The replies that the protocol itself requires, with the sections that specify them."""

from typing import Final

from gatepost.model.reply import Reply

# RFC 5321 s4.2.4 and s4.5.3.1, enhanced codes of RFC 3463 s3.6 and RFC 5248
LINE_TOO_LONG: Final = Reply(500, "Line too long", "5.5.6", close=True)
BAD_LINE_ENDING: Final = Reply(500, "Bare <CR> or <LF> received", "5.5.2", close=True)
BAD_CHARACTERS: Final = Reply(500, "Syntax error: non-printable character", "5.5.2")
NO_COMMAND: Final = Reply(500, "Syntax error: command unrecognised", "5.5.2")
NOT_SMTP: Final = Reply(554, "This is an SMTP server", "5.5.1", close=True)
NO_ARGUMENT: Final = Reply(501, "Syntax error: no parameters allowed", "5.5.4")
TOO_MANY_ARGUMENTS: Final = Reply(501, "Syntax error: too many parameters", "5.5.4")
NAME_EXPECTED: Final = Reply(
    501, "Syntax error: expected a domain name or address literal", "5.5.4"
)
ARGUMENT_EXPECTED: Final = Reply(501, "Syntax error: expected an argument", "5.5.4")

# RFC 5321 s4.1.4: the order of commands
HELLO_FIRST: Final = Reply(503, "Bad sequence of commands: EHLO or HELO first", "5.5.1")
MAIL_FIRST: Final = Reply(503, "Bad sequence of commands: MAIL first", "5.5.1")
NESTED_MAIL: Final = Reply(503, "Bad sequence of commands: a transaction is already open", "5.5.1")
NO_RECIPIENTS: Final = Reply(554, "No valid recipients", "5.5.1")
CHUNKING: Final = Reply(503, "Bad sequence of commands: expected BDAT or RSET", "5.5.1")
SPOILED: Final = Reply(503, "Bad sequence of commands: the transaction has failed", "5.5.1")

# STARTTLS: RFC 3207 s4; cleartext behind the command may come from an attacker
TLS_ALREADY: Final = Reply(503, "Bad sequence of commands: TLS already active", "5.5.1")
NOT_ALONE: Final = Reply(554, "Improper command pipelining after STARTTLS", "5.5.1", close=True)

# AUTH: RFC 4954 s4 and s6; no reply repeats the input, because it may be a password
AUTH_SYNTAX: Final = Reply(501, "Syntax error: expected AUTH mechanism [initial-response]", "5.5.4")
AUTH_BASE64: Final = Reply(501, "Syntax error: expected base64", "5.5.2")
AUTH_CANCELLED: Final = Reply(501, "Authentication cancelled", "5.7.0")
AUTH_ALREADY: Final = Reply(503, "Bad sequence of commands: already authenticated", "5.5.1")
AUTH_NEEDS_TLS: Final = Reply(538, "Encryption required: STARTTLS first", "5.7.11")
AUTH_NOT_ALONE: Final = Reply(554, "Improper command pipelining after AUTH", "5.5.1", close=True)
AUTH_TOO_LONG: Final = Reply(500, "Authentication exchange line is too long", "5.5.6", close=True)

# RFC 2920 s3.1: input that was sent too early could be misinterpreted
NOT_SYNCHRONISED: Final = Reply(554, "Improper command pipelining", "5.5.0", close=True)

# MAIL and RCPT arguments: RFC 5321 s4.1.1.2, s4.1.1.3 and s4.1.1.11, RFC 6531 s3.5
MAIL_SYNTAX: Final = Reply(501, "Syntax error: expected MAIL FROM:<address>", "5.1.7")
RCPT_SYNTAX: Final = Reply(501, "Syntax error: expected RCPT TO:<address>", "5.1.3")
NEEDS_SMTPUTF8: Final = Reply(553, "Non-ASCII address needs the SMTPUTF8 parameter", "5.6.7")

# XCLIENT_README of Postfix, "XCLIENT Server response"
XCLIENT_SYNTAX: Final = Reply(501, "Syntax error: expected XCLIENT attribute=value ...", "5.5.4")

# BDAT: RFC 3030 s2; without a size the chunk cannot be separated from commands
BDAT_SYNTAX: Final = Reply(501, "Syntax error: expected BDAT size [LAST]", "5.5.4", close=True)
BDAT_EMPTY: Final = Reply(551, "Empty BDAT chunk without LAST", "5.7.1")

# Content: RFC 1870 s6.3; RFC 5321 s2.3.8 and s4.1.1.4 forbid bare CR and LF
TOO_BIG: Final = Reply(552, "Message size exceeds the limit", "5.3.4")
TOO_BIG_CLOSING: Final = TOO_BIG.closing()
IMPURE: Final = Reply(550, "Message contains a bare CR, bare LF or NUL", "5.6.0", close=True)

# RFC 4954 s4: the code of a challenge
CONTINUE_AUTH: Final = 334

# RFC 5321 s4.3.2 and s3.8
START_MAIL_INPUT: Final = Reply(354, "End data with <CR><LF>.<CR><LF>")
