"""The operator's ways to the world: Kubernetes' watches, certificates, other components."""
