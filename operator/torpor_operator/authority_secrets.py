"""The authority as its Secrets have it: what the operator signs with and trusts, which it alone
writes, and what somebody else has put beside it to be signed with from then on.

Whatever is given is copied into the operator's own Secret. So the one that is there keeps signing
until everybody trusts the new one, though whoever has made both keeps only the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from torpor_channel.issuing import Pair
from torpor_kube.times import api_time
from torpor_operator.adapters.keys import (
    make_authority,
    read_authority,
    read_own_authority,
    refuse_other_key,
)
from torpor_operator.certificate_secrets import Data, Held, Unusable
from torpor_operator.core.certificates import (
    AUTHORITY_SECRET,
    GIVEN_SECRET,
    Authorities,
    Authority,
    BeginSpread,
    CertificateAction,
    DropPrevious,
    Issue,
    MakeAuthority,
    Promote,
    Trust,
)

SLOTS = ("tls", "next", "previous")

SPREAD_AT = "next.spread-at"
"""Beside the next one: since when it is in every Secret."""


@dataclass(frozen=True, slots=True)
class Given:
    """An authority that somebody else has made."""

    authority: Authority
    pair: Pair


def given_in(held: Held | None, now: float) -> Given | None:
    """Raises Unusable."""
    if held is None:
        return None
    _refuse_lacking(GIVEN_SECRET, held.data)
    try:
        certificate, authority = read_own_authority(held.data["tls.crt"])
    except ValueError as error:
        raise Unusable(GIVEN_SECRET, f"its tls.crt {error}") from None
    if authority.ends_at <= now:
        raise Unusable(GIVEN_SECRET, f"its tls.crt has ended at {api_time(authority.ends_at)}")
    _refuse_other_key(GIVEN_SECRET, held.data)
    return Given(authority, Pair(certificate, held.data["tls.key"]))


def authorities_in(held: Held | None) -> Authorities | None:
    """None: one is to be made. Raises Unusable."""
    if held is None or (held.is_ours and not held.data):
        return None
    data = held.data
    if not held.is_ours:
        why = f"it is the operator's own, and somebody else has made it: yours is {GIVEN_SECRET}"
        raise Unusable(AUTHORITY_SECRET, why)
    _refuse_lacking(AUTHORITY_SECRET, data)
    found: dict[str, Authority] = {}
    for slot in SLOTS:
        if f"{slot}.crt" in data:
            try:
                found[slot] = read_authority(data[f"{slot}.crt"])
            except ValueError:
                raise Unusable(AUTHORITY_SECRET, f"its {slot}.crt is no certificate") from None
    _refuse_other_key(AUTHORITY_SECRET, data)
    next, previous = found.get("next"), found.get("previous")
    return Authorities(found["tls"], next, previous, _spread_at(data))


def bundle(authority: Data) -> str:
    """Everything that is trusted."""
    return "".join(authority.get(f"{slot}.crt", "") for slot in SLOTS)


def stepped(authority: Data, step: CertificateAction, given: Given | None, now: float) -> Data:
    """The operator's own Secret after the step."""
    match step:
        case MakeAuthority(is_next):
            pair, slot = given.pair if given else make_authority(now), "next" if is_next else "tls"
            kept = _without(authority, SPREAD_AT) if is_next else {}
            return {**kept, f"{slot}.crt": pair.certificate, f"{slot}.key": pair.key}
        case BeginSpread():
            return {**authority, SPREAD_AT: api_time(now)}
        case Promote():
            return {
                "tls.crt": authority["next.crt"],
                "tls.key": authority["next.key"],
                "previous.crt": authority["tls.crt"],
            }
        case DropPrevious():
            return _without(authority, "previous.crt")
        case Issue() | Trust():
            raise AssertionError("a step of a leaf is none of the authority")


def _without(data: Data, key: str) -> Data:
    return {each: text for each, text in data.items() if each != key}


def _spread_at(data: Data) -> float | None:
    if SPREAD_AT not in data:
        return None
    try:
        return datetime.fromisoformat(data[SPREAD_AT]).timestamp()
    except ValueError:
        raise Unusable(AUTHORITY_SECRET, f"its {SPREAD_AT} is no time") from None


def _refuse_lacking(secret: str, data: Data) -> None:
    for key in ("tls.crt", "tls.key"):
        if key not in data:
            raise Unusable(secret, f"it has no {key}")


def _refuse_other_key(secret: str, data: Data) -> None:
    try:
        refuse_other_key(data["tls.crt"], data["tls.key"])
    except ValueError as error:
        raise Unusable(secret, f"its tls.key {error}") from None
