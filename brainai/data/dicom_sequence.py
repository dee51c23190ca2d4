"""Is a DICOM series FLAIR? Its names, its kind of sequence and its times tell it together.

A name is free text, and each maker has its own; times are measured. So the times go first, and
the names decide where the times leave it open.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

# Times, ms. FLAIR waits 1500 to 3000 for the signal of fluid to vanish, and has an echo time from
# 70 on; beyond the wider limits a series is something else, whatever its name.
INVERSION_MS, LEAST_ECHO_MS, FLAIR_ECHO_MS = (1300.0, 3500.0), 40.0, 70.0
GRADIENT_ECHO = {"GR", "EP"}  # the makers' words for gradient echoes and echo planar pictures
FLUID_ATTENUATED = "FLUID_ATTENUATED"  # of the acquisition contrast, (0008,9209)

# What the names mean. Siemens writes "dark-fluid", "da-fl" and "tirm", and calls the sequences
# *tir2d and *spcir; GE, Philips, Canon, Hitachi and United Imaging write FLAIR.
FLAIR = re.compile(
    r"flair|dark.?fluid|fluid.?atten|(?<![a-z])da.?fl(?![a-z])|tirm|\btir[23]d|\bspcir", re.I
)
T1 = re.compile(r"(?<![a-z0-9])(?:ax|sag|cor|tra|s)?t1(?![0-9])", re.I)
T2 = re.compile(r"t2(?![0-9])", re.I)
OTHER_INVERSION = re.compile(r"(?<![a-z])(?:stir|dir)(?![a-z])|double.?inversion", re.I)


class Header(NamedTuple):
    """What a header says of how a series was made.

    names: of the series, of its protocol and of its sequence, in this order.
    kinds: of sequence, as "SE", "IR", "GR", "EP".
    inversion, echo: times, ms; 0 where the header gives none.
    contrast: by the standard's words, "" where not given.
    """

    names: Iterable[str] = ()
    kinds: frozenset[str] = frozenset()
    inversion: float = 0.0
    echo: float = 0.0
    contrast: str = ""


class Kind(NamedTuple):
    """is_flair: the header says that the series is FLAIR. not_flair: what of it says plainly that
    it is none, in a few words, or "". Where the header is silent, neither."""

    is_flair: bool
    not_flair: str


def kind_of(header: Header) -> Kind:
    """Whether a series is FLAIR by its header; the first that tells decides.

    | names | inversion time | echo time | sequence | what it is |
    |---|---|---|---|---|
    | any | given, not 1300 to 3500 | any | any | none |
    | STIR, DIR | any | any | any | none |
    | any | 1300 to 3500 | 70 and more | any | FLAIR |
    | FLAIR | 1300 to 3500 | 40 and more | any | FLAIR |
    | T1, T1 FLAIR | not given, or echo shorter | any | any | none |
    | any | not given, or gradient echo | below 40 | any | none |
    | not FLAIR | any | any | gradient echo without an inversion | none |
    | FLAIR | any | any | any | FLAIR |
    """
    name = _name(header.names)
    says_flair = name == "FLAIR" or header.contrast == FLUID_ATTENUATED
    low, high = INVERSION_MS
    inversion, echo = header.inversion, header.echo
    if inversion > 0 and not low <= inversion <= high:
        return Kind(False, "another inversion time than FLAIR has")
    if name == "other":
        return Kind(False, "the name of another sequence with an inversion")
    if inversion > 0 and echo >= LEAST_ECHO_MS:
        return Kind(says_flair or echo >= FLAIR_ECHO_MS, "")
    if name == "T1":
        return Kind(False, "a name that says T1")
    if 0 < echo < LEAST_ECHO_MS and (inversion <= 0 or "GR" in header.kinds):
        return Kind(False, "an echo time as short as in T1 or proton density")
    if header.kinds & GRADIENT_ECHO and "IR" not in header.kinds and not says_flair:
        return Kind(False, "gradient echoes without an inversion")
    return Kind(says_flair, "")


def _name(names: Iterable[str]) -> str:
    """What the first name that tells anything says: "FLAIR", "T1", "other", or ""."""
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
