"""How much all uploads take together, by visitor and in total.

The ledger knows no disk and no server: it says what fits, and which uploads have to go for it. One
upload is what one request brought, in a folder of its own.
"""

import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass

from brainai.data.scans import MAX_FILES
from brainai.errors import DataError
from brainai.web.limits import (
    DISK_SHARE,
    FRESH_SECONDS,
    MB,
    TOTAL_BYTES,
    TOTAL_FILES,
    VISITOR_BYTES,
)

SERVER = ""  # the visitor to whom files of the server's own count


@dataclass(frozen=True)
class Amount:
    """Bytes and files."""

    bytes: int = 0
    files: int = 0

    def plus(self, other: "Amount") -> "Amount":
        return Amount(self.bytes + other.bytes, self.files + other.files)

    def minus(self, other: "Amount") -> "Amount":
        return Amount(self.bytes - other.bytes, self.files - other.files)

    def within(self, limit: "Amount") -> bool:
        return self.bytes <= limit.bytes and self.files <= limit.files


@dataclass
class _Upload:
    visitor: str
    amount: Amount
    came: float  # by `clock`
    named: bool = False  # by a request: then it may go as soon as no request needs it


EACH = Amount(VISITOR_BYTES, 3 * MAX_FILES)
TOTAL = Amount(TOTAL_BYTES, TOTAL_FILES)


class Ledger:
    """What every visitor's uploads take.

    Args:
        each: the limit of one visitor.
        total: the limit of all visitors together.
        free_bytes: says how much of the disk is free.
        in_use: says which uploads the requests need that are waiting or in work.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        each: Amount = EACH,
        total: Amount = TOTAL,
        free_bytes: Callable[[], int] = lambda: TOTAL_BYTES * 10,
        in_use: Callable[[], Collection[str]] = tuple,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.each, self.total = each, total
        self.free_bytes, self.in_use, self.clock = free_bytes, in_use, clock
        self._uploads: OrderedDict[str, _Upload] = OrderedDict()  # least recently named first
        self._held: defaultdict[str, Amount] = defaultdict(Amount)
        self._all = Amount()
        self.coming: set[str] = set()  # uploads that are on their way, and counted as such

    def held(self, visitor: str | None = None) -> Amount:
        """What one visitor holds, or all of them, with uploads that are still coming in."""
        return self._all if visitor is None else self._held.get(visitor, Amount())

    def take(self, visitor: str, amount: Amount) -> list[str]:
        """Count what comes in.

        Returns:
            The uploads that must be deleted first; they no longer count.

        Raises:
            DataError: there is no room; nothing was counted.
        """
        gone = self._chosen_to_go(visitor, amount)
        for name in gone:
            self.forget(name)
        self._count(visitor, amount)
        return gone

    def give_back(self, visitor: str, amount: Amount) -> None:
        """Count no longer what an upload took that was broken off or refused."""
        self._count(visitor, Amount().minus(amount))

    def keep(self, visitor: str, name: str, took: Amount, stored: Amount) -> None:
        """Note an upload that is complete: what it took on its way, and what is stored of it."""
        self.forget(name)
        self.give_back(visitor, took)
        self._count(visitor, stored)
        self._uploads[name] = _Upload(visitor, stored, self.clock())

    def name(self, names: Iterable[str]) -> None:
        """Note that a request needs these uploads."""
        for name in names:
            if name in self._uploads:
                self._uploads[name].named = True
                self._uploads.move_to_end(name)

    def forget(self, name: str) -> None:
        """Count an upload no longer that has been deleted."""
        upload = self._uploads.pop(name, None)
        if upload is not None:
            self.give_back(upload.visitor, upload.amount)

    def reconcile(self, found: dict[str, Amount], looked: float) -> None:
        """Compare with what the disk held: forget what is gone, and count to the server's own
        account what is not known.

        Args:
            found: what each upload on the disk takes.
            looked: by `clock`, when the disk was read; what came since is left alone.
        """
        for name, upload in list(self._uploads.items()):
            if name not in found and upload.came < looked:
                self.forget(name)
        for name in found.keys() - self._uploads.keys() - self.coming:
            self.keep(SERVER, name, Amount(), found[name])

    def _count(self, visitor: str, amount: Amount) -> None:
        self._all = self._all.plus(amount)
        held = self._held[visitor].plus(amount)
        self._held[visitor] = held
        if held == Amount():
            del self._held[visitor]

    def _chosen_to_go(self, visitor: str, amount: Amount) -> list[str]:
        """The uploads without which the amount fits: the visitor's own first, oldest first."""
        own, everybody = self.held(visitor).plus(amount), self._all.plus(amount)
        total, chosen = self._total(), []
        if own.within(self.each) and everybody.within(total):
            return chosen
        for name, upload in self._may_go(visitor):
            mine = upload.visitor == visitor
            if own.within(self.each) and everybody.within(total):
                break
            if not mine and not own.within(self.each):
                break  # those of others give this visitor no more
            chosen.append(name)
            everybody = everybody.minus(upload.amount)
            own = own.minus(upload.amount) if mine else own
        if not own.within(self.each):
            raise self._too_much()
        if not everybody.within(total):
            raise full()
        return chosen

    def _may_go(self, visitor: str) -> Iterator[tuple[str, _Upload]]:
        """The uploads that may be deleted, the visitor's own first."""
        in_use, fresh = self.in_use(), self.clock() - FRESH_SECONDS
        idle = [
            (name, upload)
            for name, upload in self._uploads.items()
            if name not in in_use and (upload.named or upload.came <= fresh)
        ]
        yield from (item for item in idle if item[1].visitor == visitor)
        yield from (item for item in idle if item[1].visitor != visitor)

    def _total(self) -> Amount:
        """The limit of all, where the disk has as much: held and free are together constant."""
        disk = int(DISK_SHARE * (self._all.bytes + self.free_bytes()))
        return Amount(min(self.total.bytes, disk), self.total.files)

    def _too_much(self) -> DataError:
        return DataError(
            f"You may send at most {self.each.bytes // MB} MB and {self.each.files} files at once: "
            f"wait for your answers, or try again in {FRESH_SECONDS} seconds.",
            "too_much",
        )


def full() -> DataError:
    """Why nothing more is taken from anybody."""
    return DataError(
        "The server has no room for more files at the moment: try again in a few minutes.", "full"
    )
