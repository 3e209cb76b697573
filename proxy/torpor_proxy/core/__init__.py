"""The protocol and the session as pure objects."""
