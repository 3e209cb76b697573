"""What Grafana shows of Torpor, made of code: `make manifests` writes it."""
