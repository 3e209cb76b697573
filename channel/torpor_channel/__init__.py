"""The control channel: how components talk, over Unix sockets."""
