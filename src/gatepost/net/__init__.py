"""What sessions need of the network beside their own socket: TLS."""
