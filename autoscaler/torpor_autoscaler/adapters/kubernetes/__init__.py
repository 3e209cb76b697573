"""The cluster's part on Kubernetes: the API server, the kubelets' word, Secrets.

Here the autoscaler talks to the API server itself, so that a wake needs no operator.
"""
