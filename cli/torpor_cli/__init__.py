"""The ``torpor`` command; in ``local`` the cluster's part on one machine."""
