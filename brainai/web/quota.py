"""Count the bytes and files of all uploads, for each visitor and in total.

The ledger uses neither disk nor server: it says what fits, and which uploads must be deleted to
make room. An upload is what one request sent; it has a folder of its own.
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

SERVER = ""  # the account of files that the server wrote itself


@dataclass(frozen=True)
class Amount:
    """A number of bytes and a number of files."""

    bytes: int = 0
    files: int = 0

    def plus(self, other: "Amount") -> "Amount":
        """Return the sum."""
        return Amount(self.bytes + other.bytes, self.files + other.files)

    def minus(self, other: "Amount") -> "Amount":
        """Return the difference."""
        return Amount(self.bytes - other.bytes, self.files - other.files)

    def within(self, limit: "Amount") -> bool:
        """Return whether neither number exceeds its limit."""
        return self.bytes <= limit.bytes and self.files <= limit.files


@dataclass
class _Upload:
    visitor: str
    amount: Amount
    came: float  # time of arrival, by `clock`
    named: bool = False  # a request has named it: it may go once no request needs it


EACH = Amount(VISITOR_BYTES, 3 * MAX_FILES)
TOTAL = Amount(TOTAL_BYTES, TOTAL_FILES)


class UploadLedger:
    """The uploads of all visitors.

    Args:
        each: the limit for one visitor.
        total: the limit for all visitors together.
        free_bytes: returns how many bytes of the disk are free.
        in_use: returns the uploads that waiting or running requests need.
        clock: returns seconds of a monotonic clock.
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
        self.coming: set[str] = set()  # uploads that are still arriving and already counted

    def held(self, visitor: str | None = None) -> Amount:
        """Return what one visitor holds, or all visitors, including uploads still arriving."""
        return self._all if visitor is None else self._held.get(visitor, Amount())

    def take(self, visitor: str, amount: Amount) -> list[str]:
        """Count an arriving amount.

        Returns:
            The uploads to delete first; they are no longer counted.

        Raises:
            DataError: there is no room; nothing was counted.
        """
        gone = self._chosen_to_go(visitor, amount)
        for name in gone:
            self.forget(name)
        self._count(visitor, amount)
        return gone

    def give_back(self, visitor: str, amount: Amount) -> None:
        """Stop counting an amount, because its upload was interrupted, refused or deleted."""
        self._count(visitor, Amount().minus(amount))

    def keep(self, visitor: str, name: str, took: Amount, stored: Amount) -> None:
        """Record a complete upload.

        Args:
            visitor: the visitor who sent it.
            name: the folder of the upload.
            took: what was counted while it arrived; it is no longer counted.
            stored: what it takes on the disk.
        """
        self.forget(name)
        self.give_back(visitor, took)
        self._count(visitor, stored)
        self._uploads[name] = _Upload(visitor, stored, self.clock())

    def name(self, names: Iterable[str]) -> None:
        """Record that a request names these uploads."""
        for name in names:
            if name in self._uploads:
                self._uploads[name].named = True
                self._uploads.move_to_end(name)

    def forget(self, name: str) -> None:
        """Stop counting an upload that has been deleted."""
        upload = self._uploads.pop(name, None)
        if upload is not None:
            self.give_back(upload.visitor, upload.amount)

    def reconcile(self, on_disk: dict[str, Amount], looked: float) -> None:
        """Compare the ledger with the disk.

        Uploads that are gone are forgotten. Unknown ones count to the account of the server.

        Args:
            on_disk: what each upload on the disk takes.
            looked: time at which the disk was read, by `clock`; later uploads are left alone.
        """
        for name, upload in list(self._uploads.items()):
            if name not in on_disk and upload.came < looked:
                self.forget(name)
        for name in on_disk.keys() - self._uploads.keys() - self.coming:
            self.keep(SERVER, name, Amount(), on_disk[name])

    def _count(self, visitor: str, amount: Amount) -> None:
        self._all = self._all.plus(amount)
        held = self._held[visitor].plus(amount)
        self._held[visitor] = held
        if held == Amount():
            del self._held[visitor]

    def _chosen_to_go(self, visitor: str, amount: Amount) -> list[str]:
        """Return the uploads to delete so that the amount fits: the visitor's first, oldest first.

        Raises:
            DataError: the amount would not fit even then.
        """
        visitors, everybody = self.held(visitor).plus(amount), self._all.plus(amount)
        total = self._total()
        chosen: list[str] = []
        if visitors.within(self.each) and everybody.within(total):
            return chosen
        for name, upload in self._may_go(visitor):
            is_visitors = upload.visitor == visitor
            if visitors.within(self.each) and everybody.within(total):
                break
            if not is_visitors and not visitors.within(self.each):
                break  # deleting uploads of others does not help this visitor's limit
            chosen.append(name)
            everybody = everybody.minus(upload.amount)
            visitors = visitors.minus(upload.amount) if is_visitors else visitors
        if not visitors.within(self.each):
            raise self._too_much()
        if not everybody.within(total):
            raise full()
        return chosen

    def _may_go(self, visitor: str) -> Iterator[tuple[str, _Upload]]:
        """Yield the uploads that may be deleted, those of the visitor first."""
        in_use, fresh = self.in_use(), self.clock() - FRESH_SECONDS
        idle = [
            (name, upload)
            for name, upload in self._uploads.items()
            if name not in in_use and (upload.named or upload.came <= fresh)
        ]
        yield from (item for item in idle if item[1].visitor == visitor)
        yield from (item for item in idle if item[1].visitor != visitor)

    def _total(self) -> Amount:
        """Return the limit for all visitors, reduced if the disk is small.

        Held plus free bytes stay constant while uploads arrive, so the limit does too.
        """
        disk = int(DISK_SHARE * (self._all.bytes + self.free_bytes()))
        return Amount(min(self.total.bytes, disk), self.total.files)

    def _too_much(self) -> DataError:
        return DataError(
            f"You may send at most {self.each.bytes // MB} MB and {self.each.files} files at once: "
            f"wait for your answers, or try again in {FRESH_SECONDS} seconds.",
            "too_much",
        )


def full() -> DataError:
    """Return the error for uploads when the limit for all visitors is reached."""
    return DataError(
        "The server has no room for more files at the moment: try again in a few minutes.", "full"
    )
