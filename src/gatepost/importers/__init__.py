"""Importers of the logs of other mail servers: lines in, SMTP transactions out.

`reading.read_logs` is the entrance. A line has a time and a text (`entry`), an importer of the
server's format puts lines together (`postfix`, `exim`, `sendmail`, `qmail`, `qpsmtpd`, `haraka`),
and the result is the same for all (`transaction`).

`equivalents` has what stands in for the plugins of qpsmtpd and Haraka.

Trust: a log is full of text that clients sent. No line ends an import: what is not understood is
counted and skipped. Memory is bounded: lines are cut, and open transactions are limited in number
and in recipients.
"""
