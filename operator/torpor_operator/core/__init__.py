"""What the operator wants, as a pure function of what it sees: no clock, no chance, no network."""
