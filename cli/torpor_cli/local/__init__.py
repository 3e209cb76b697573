"""``torpor up``: what Kubernetes and the operator do on a cluster, done by one process here.

It stores resources, lays out storage, starts processes, and confirms that those which should be
gone are gone. It decides nothing about sleeping and waking: that is the autoscaler's.
"""
