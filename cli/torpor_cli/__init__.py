"""The torpor command, and the whole product on one machine."""
