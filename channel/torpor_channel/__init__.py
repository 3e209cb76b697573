"""The control channel: how components talk, over Unix sockets or mutual TLS."""
