"""The autoscaler's connections to cluster, agents and proxies."""
