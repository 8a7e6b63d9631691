"""Protocols in which a client looks keys up: socketmap, tcp_table and Dovecot's, without I/O."""
