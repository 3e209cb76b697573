"""An API server in this process: what Torpor uses of one, and that as the real one does it.

``tests/contract/test_kube_api.py`` holds it to a real server. What it leaves out: schemas and
admission (nothing is validated, pruned or defaulted), authorization, and every controller but the
garbage collector; kubelets are played by the tests.
"""
