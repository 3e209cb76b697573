"""One database under one epoch, once and for good."""

from __future__ import annotations

import pytest

from torpor_api.failures import BoundElsewhere, Conflict, NotFound, StaleEpoch
from torpor_api.identity import ComputeId
from torpor_compute.core.claim import (
    Claim,
    refuse_other_claim,
    refuse_other_compute,
    refuse_other_epoch,
)

C1 = ComputeId("c1")
CLAIM = Claim(C1, "shop", 5)


@pytest.mark.parametrize("bound", [None, CLAIM])
def test_the_same_claim_is_welcome(bound: Claim | None) -> None:
    refuse_other_claim(bound, CLAIM)


@pytest.mark.parametrize("other", [Claim(C1, "shop", 6), Claim(C1, "shop", 4), Claim(C1, "x", 5)])
def test_another_claim_is_not(other: Claim) -> None:
    with pytest.raises(Conflict, match="c1 is bound to shop under epoch 5") as refused:
        refuse_other_claim(CLAIM, other)
    # Of its own database it may have the volume.
    assert isinstance(refused.value, BoundElsewhere) == (other.database != CLAIM.database)


def test_epochs() -> None:
    assert refuse_other_epoch(CLAIM, 5, C1) is CLAIM
    with pytest.raises(StaleEpoch, match="epoch 4 is over: compute c1 serves epoch 5"):
        refuse_other_epoch(CLAIM, 4, C1)
    with pytest.raises(Conflict, match="serves epoch 5, not 6"):
        refuse_other_epoch(CLAIM, 6, C1)
    with pytest.raises(NotFound, match="c1 serves no database yet"):
        refuse_other_epoch(None, 5, C1)


def test_the_compute_that_is_meant() -> None:
    refuse_other_compute(C1, "c1")
    refuse_other_compute(C1, "")
    with pytest.raises(Conflict, match="this is compute c1, not c2"):
        refuse_other_compute(C1, "c2")
