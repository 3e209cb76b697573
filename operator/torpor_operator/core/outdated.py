"""Computes that are not as their pool makes them now, where databases shall leave them. Pure.

Only the operator knows it, and only the autoscaler moves databases: so it stands on the pods.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from torpor_api.warm_pool import UpdateStrategy
from torpor_kube import names
from torpor_kube.documents import metadata
from torpor_kube.kinds import POD
from torpor_kube.port import Document
from torpor_operator.core.actions import Patch
from torpor_operator.core.naming import Key
from torpor_operator.core.pods import spec_of
from torpor_operator.core.seen_pods import SeenPod


def say_outdated(
    pool: Document, template: str, pods: Collection[SeenPod], namespace: str
) -> Iterator[Patch]:
    """On those that are, also where they wait yet, so that nobody moves to one; and nowhere else,
    once the pool is as it was before, or wants it otherwise.

    ``template``: of the pods that the pool would make now; empty: nobody can say. One with its
    database's own volume is left at the next sleep only: the next one begins when it has ended, and
    that may take long.
    """
    if not template:
        return
    is_leaving = "deletionTimestamp" in metadata(pool)
    is_wanted = spec_of(pool).update_strategy is UpdateStrategy.WHEN_IDLE and not is_leaving
    for pod in pods:
        is_outdated = is_wanted and pod.template != template and not pod.is_dedicated
        is_alive = not (pod.has_ended or pod.is_lost or pod.is_deleting)
        if is_alive and pod.says_outdated != is_outdated:
            annotations = {names.OUTDATED_ANNOTATION: "true" if is_outdated else None}
            patch = {"metadata": {"annotations": annotations}}
            yield Patch(POD, Key(namespace, pod.name), patch)
