"""What Torpor's components need of a Kubernetes API server, and no more.

Objects are plain dicts as the server sends them (:data:`~torpor_kube.port.Document`); failures are
those of ``torpor_api.failures``. It shares the wire with nobody: the operator and the autoscaler
build on the same seven verbs of :class:`~torpor_kube.port.Kube`.
"""
