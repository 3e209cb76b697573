"""How decisions come about: one database's way through its phases, as plans. Pure, as ``core``."""
