"""Who may write to a volume: the ownership records and the rules of taking one. Pure.

A record is one file for each epoch, ``ownership/0000000007.json``. Postgres may be started on the
volume only by whoever created the file of the newest epoch, and only where the record before it is
released or its holder is confirmed dead. A record that can't be read lets nobody start.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from torpor_api.failures import DataDamaged, Holder, NotFenced, StaleEpoch
from torpor_api.identity import ComputeId, Epoch

RECORDS_KEPT = 5
"""The newest ones, for a person who wants to know who had the volume; older ones are removed."""

RECORD_BYTES_MAX = 4096
"""A record has about 100 bytes; whatever is larger is none."""

_FILE_NAME = re.compile(r"(\d{10})\.json")
_HIDDEN_NAME = re.compile(r"\.(\d{10})\..*")


class Hold(StrEnum):
    HELD = "held"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class Record:
    """One epoch's ownership of the volume."""

    epoch: Epoch
    compute: ComputeId
    state: Hold
    facts_exported: bool = False
    """The login facts of the stop were answered to whoever asked for it. False where the agent
    stopped by itself: then the next start must read them again."""


def file_name(epoch: Epoch) -> str:
    return f"{epoch:010d}.json"


def hidden_name(epoch: Epoch, compute: ComputeId) -> str:
    """Of a record that is being written."""
    return f".{epoch:010d}.{compute}"


def epochs_in(names: Iterable[str]) -> list[Epoch]:
    """The epochs that have a record, oldest first; what else lies there is passed over."""
    found = (_FILE_NAME.fullmatch(name) for name in names)
    return sorted(Epoch(int(match[1])) for match in found if match is not None)


def record_text(record: Record) -> str:
    fields = {
        "epoch": record.epoch,
        "compute": record.compute,
        "state": record.state,
        "facts_exported": record.facts_exported,
    }
    return json.dumps(fields) + "\n"


def parse_record(text: str, epoch: Epoch, source: str) -> Record:
    """The record of ``epoch``. Raises DataDamaged that names the file and what to do."""
    try:
        fields = json.loads(text)
        record = Record(
            epoch=Epoch(int(fields["epoch"])),
            compute=ComputeId(str(fields["compute"])),
            state=Hold(fields["state"]),
            facts_exported=fields.get("facts_exported", False) is True,
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged(source, "is not an ownership record") from None
    if record.epoch != epoch:
        raise damaged(source, f"says epoch {record.epoch}, its name says {epoch}")
    return record


def damaged(source: str, fault: str) -> DataDamaged:
    return DataDamaged(
        f"{source} {fault}: who may write to the data can't be known",
        hint="make sure that no Postgres uses the data directory beside it, then remove the file",
    )


def refuse_later(newest: Record | None, epoch: Epoch) -> None:
    """Raises StaleEpoch where the volume has seen this epoch or a later one."""
    if newest is not None and newest.epoch >= epoch:
        raise StaleEpoch(
            f"epoch {epoch} is over: the volume has been taken under epoch {newest.epoch}",
            hint="claim the database anew, under a higher epoch",
            holder=_holder(newest),
        )


def refuse_held(previous: Record | None, fenced: Collection[str]) -> None:
    """Raises NotFenced while the very holder before us is not known to be dead.

    A number would not do: where the database's record was lost or restored from an older state,
    whoever claims knows nothing of the holder that the volume names.
    """
    if previous is None or previous.state is Hold.RELEASED or previous.compute in fenced:
        return
    raise NotFenced(
        f"compute {previous.compute} holds the volume under epoch {previous.epoch} "
        "and is not confirmed dead",
        hint="it goes on as soon as the fencer has confirmed that",
        holder=_holder(previous),
    )


def _holder(record: Record) -> Holder:
    is_held = record.state is Hold.HELD
    return Holder(record.epoch, record.compute if is_held else "")


def to_prune(names: Iterable[str], epoch: Epoch) -> list[str]:
    """Files that nobody needs once ``epoch`` has been taken: old records, and what crashes left.

    What is hidden under a higher epoch may be at work just now.
    """
    names = list(names)
    old = [file_name(each) for each in epochs_in(names)[:-RECORDS_KEPT]]
    hidden = (match for name in names if (match := _HIDDEN_NAME.fullmatch(name)))
    return old + [match.string for match in hidden if int(match[1]) < epoch]
