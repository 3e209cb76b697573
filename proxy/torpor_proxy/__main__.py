"""``python -m torpor_proxy``: see :mod:`torpor_proxy.main`."""

from torpor_proxy.main import main

main()
