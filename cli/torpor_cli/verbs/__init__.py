"""One file per verb of the ``torpor`` command; each is imported only when it is used."""
