"""Decide from a DICOM header whether a series is FLAIR, by its names, sequence and times.

Names are free text, and each manufacturer has its own. Times are acquisition parameters, so they
come first, and names decide only if the times leave the question open.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

# Times in ms. FLAIR has an inversion time of 1500 to 3000, at which the signal of fluid vanishes,
# and an echo time of 70 or more. Outside of these wider limits a series is not FLAIR, whatever its
# name.
INVERSION_MS, LEAST_ECHO_MS, FLAIR_ECHO_MS = (1300.0, 3500.0), 40.0, 70.0
GRADIENT_ECHO = {"GR", "EP"}  # codes of gradient echo and echo planar sequences
FLUID_ATTENUATED = "FLUID_ATTENUATED"  # a value of the acquisition contrast, (0008,9209)

# Names of sequences. Siemens writes "dark-fluid", "da-fl" and "tirm", and calls the sequences
# *tir2d and *spcir; GE, Philips, Canon, Hitachi and United Imaging write FLAIR.
FLAIR = re.compile(
    r"flair|dark.?fluid|fluid.?atten|(?<![a-z])da.?fl(?![a-z])|tirm|\btir[23]d|\bspcir", re.I
)
T1 = re.compile(r"(?<![a-z0-9])(?:ax|sag|cor|tra|s)?t1(?![0-9])", re.I)
T2 = re.compile(r"t2(?![0-9])", re.I)
OTHER_INVERSION = re.compile(r"(?<![a-z])(?:stir|dir)(?![a-z])|double.?inversion", re.I)


class Header(NamedTuple):
    """The values of a header that tell the sequence.

    names: names of the series, its protocol and its sequence, in this order.
    kinds: codes of the sequence, such as "SE", "IR", "GR", "EP".
    inversion, echo: inversion time and echo time, ms; 0 if missing.
    contrast: acquisition contrast in the standard's terms, or "".
    """

    names: Iterable[str] = ()
    kinds: frozenset[str] = frozenset()
    inversion: float = 0.0
    echo: float = 0.0
    contrast: str = ""


class Kind(NamedTuple):
    """The verdict of a header. If the header does not tell, both fields are empty.

    is_flair: whether the header states that the series is FLAIR.
    not_flair: a few words on what in the header shows that the series is not FLAIR, or "".
    """

    is_flair: bool
    not_flair: str


def kind_of(header: Header) -> Kind:
    """Decide whether a series is FLAIR. The first matching row of this table counts.

    | names | inversion time | echo time | sequence | verdict |
    |---|---|---|---|---|
    | any | given, not 1300 to 3500 | any | any | not FLAIR |
    | STIR, DIR | any | any | any | not FLAIR |
    | any | 1300 to 3500 | 70 and more | any | FLAIR |
    | FLAIR | 1300 to 3500 | 40 and more | any | FLAIR |
    | T1, T1 FLAIR | not given, or echo shorter | any | any | not FLAIR |
    | any | not given, or gradient echo | below 40 | any | not FLAIR |
    | not FLAIR | any | any | gradient echo without an inversion | not FLAIR |
    | FLAIR | any | any | any | FLAIR |

    Example:
        >>> kind_of(Header(names=["AX T2 FLAIR"], inversion=2500, echo=120)).is_flair
        True
    """
    name = _name(header.names)
    says_flair = name == "FLAIR" or header.contrast == FLUID_ATTENUATED
    low, high = INVERSION_MS
    inversion, echo = header.inversion, header.echo
    if inversion > 0 and not low <= inversion <= high:
        return Kind(False, "an inversion time outside the range of FLAIR")
    if name == "other":
        return Kind(False, "the name of another sequence with an inversion")
    if inversion > 0 and echo >= LEAST_ECHO_MS:
        return Kind(says_flair or echo >= FLAIR_ECHO_MS, "")
    if name == "T1":
        return Kind(False, "a name that contains T1")
    if 0 < echo < LEAST_ECHO_MS and (inversion <= 0 or "GR" in header.kinds):
        return Kind(False, "an echo time as short as in T1 or proton density")
    if header.kinds & GRADIENT_ECHO and "IR" not in header.kinds and not says_flair:
        return Kind(False, "gradient echoes without an inversion")
    return Kind(says_flair, "")


def _name(names: Iterable[str]) -> str:
    """Return "FLAIR", "T1" or "other", by the first name that tells the sequence, or ""."""
    for name in names:
        flair, t1 = FLAIR.search(name), T1.search(name)
        if t1 and T2.search(name):
            t1 = None
        if t1 and (not flair or t1.start() < flair.start()):
            return "T1"
        if flair:
            return "" if t1 else "FLAIR"  # "FLAIR T1" may be the first of several dates
        if OTHER_INVERSION.search(name):
            return "other"
    return ""
