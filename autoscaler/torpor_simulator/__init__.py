"""A fleet of databases in virtual time: what each policy of sleeping costs, and who waits."""
