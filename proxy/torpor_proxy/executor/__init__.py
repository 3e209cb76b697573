"""Carries sessions on real streams, as the cores say."""
