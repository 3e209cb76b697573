"""For whom an agent works: one database under one epoch, once and for good. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from torpor_api.failures import BoundElsewhere, Conflict, NotFound, StaleEpoch
from torpor_api.identity import ComputeId


@dataclass(frozen=True, slots=True)
class Claim:
    """What binds an agent."""

    compute: ComputeId
    database: str
    epoch: int


def refuse_other_claim(claim: Claim | None, wanted: Claim) -> None:
    """Raises BoundElsewhere, or Conflict where it is bound to another claim of the database: then
    it may have the very volume."""
    if claim is not None and claim != wanted:
        refusal = Conflict if claim.database == wanted.database else BoundElsewhere
        raise refusal(
            f"compute {claim.compute} is bound to {claim.database} under epoch {claim.epoch}",
            hint="claim another one: an agent serves one claim in its life",
        )


def refuse_other_epoch(claim: Claim | None, epoch: int, compute: ComputeId) -> Claim:
    """The claim, where ``epoch`` is its own. Raises NotFound, StaleEpoch, Conflict."""
    if claim is None:
        raise NotFound(f"compute {compute} serves no database yet")
    if epoch < claim.epoch:
        raise StaleEpoch(f"epoch {epoch} is over: compute {compute} serves epoch {claim.epoch}")
    if epoch > claim.epoch:
        raise Conflict(f"compute {compute} serves epoch {claim.epoch}, not {epoch}")
    return claim


def refuse_other_compute(own: ComputeId, meant: str) -> None:
    """Raises Conflict where another compute is meant, whose address this one has now."""
    if meant not in ("", own):
        raise Conflict(f"this is compute {own}, not {meant}", hint="ask where it is now")
