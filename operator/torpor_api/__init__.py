"""The words that every component of Torpor shares.

Resource models, phases, epochs, failures and the messages of the control channel. Everything here
is pure: no input or output, no clock, no randomness. Components import this package and never each
other.
"""
