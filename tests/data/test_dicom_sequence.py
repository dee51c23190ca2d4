"""Whether a header says FLAIR, in the terms of each scanner manufacturer."""

import pytest

from brainai.data.dicom_sequence import Header, Kind, kind_of

FLAIR, OPEN = Kind(True, ""), Kind(False, "")


def kind(*names: str, inversion: float = 0, echo: float = 0, kinds: str = "SE IR") -> Kind:
    return kind_of(Header(names, frozenset(kinds.split()), inversion, echo))


@pytest.mark.parametrize(
    ("names", "times"),
    [
        (("t2_tirm_tra_dark-fluid_320", "", "*tir2d1_16"), (2500, 81)),
        (("t2_space_da-fl_sag_p2_iso", "", "*spcir_242ns"), (1800, 388)),
        (("t2_spc_da-fl_sag",), (0, 0)),
        (("t2_blade_dark-fluid_tra",), (0, 0)),
        (("t2_tirm_tra",), (0, 0)),
        (("", "", "*spcir_278ns"), (0, 0)),
    ],
)
def test_siemens_flair_headers_are_recognized(names, times) -> None:
    assert kind(*names, inversion=times[0], echo=times[1]) == FLAIR


def test_siemens_stir_and_t1_are_not_flair_although_they_are_named_tirm() -> None:
    assert kind("t2_tirm_cor", inversion=220, echo=60).not_flair
    assert kind("t1_tirm_tra_dark-fluid").not_flair
    assert kind("t1_tirm_tra_dark-fluid", inversion=1000, echo=9).not_flair


@pytest.mark.parametrize(
    ("name", "times"),
    [("Ax T2 FLAIR", (2250, 120)), ("Sag CUBE T2 FLAIR", (1800, 115)), ("AX T2FLAIR PROP", (0, 0))],
)
def test_ge_flair_headers_are_recognized(name, times) -> None:
    assert kind(name, inversion=times[0], echo=times[1]) == FLAIR


@pytest.mark.parametrize("name", ["Ax T1 FLAIR", "SAG T1FLAIR", "AxT1 FLAIR", "T1W_FLAIR+C"])
def test_ge_t1_flair_is_not_flair(name) -> None:
    assert kind(name) == kind(name, "Brain FLAIR") == Kind(False, "a name that contains T1")
    assert kind(name, inversion=860, echo=24).not_flair
    assert kind(name, inversion=1400, echo=24).not_flair  # long enough at 7 T


@pytest.mark.parametrize(
    ("name", "times"),
    [("FLAIR_longTR", (2800, 125)), ("3D_Brain_VIEW_FLAIR", (1650, 340)), ("VISTA FLAIR", (0, 0))],
)
def test_philips_flair_headers_are_recognized(name, times) -> None:
    assert kind(name, inversion=times[0], echo=times[1]) == FLAIR


def test_inversion_and_echo_times_outweigh_the_name() -> None:
    assert kind("", inversion=2400, echo=120) == FLAIR  # no name at all
    assert kind("T1 FLAIR", inversion=2400, echo=120) == FLAIR  # named by a slip
    assert kind("FLAIR", inversion=150, echo=60).not_flair


def test_inversions_that_do_not_null_fluid_are_not_flair() -> None:
    assert kind("t2_stir_cor").not_flair
    assert kind("3D DIR", inversion=2600, echo=300).not_flair  # double inversion: white matter too
    assert kind("mp2rage_INV2", inversion=2700, echo=2.9, kinds="GR IR").not_flair


def test_words_that_only_look_like_t1_are_ignored() -> None:
    for name in ("FLAIR POST1", "PART1 FLAIR", "AX FLAIR T10"):
        assert kind(name) == FLAIR
    assert kind("FLAIR T1") == OPEN  # T1, or the first date


def test_the_protocol_name_counts_if_the_series_name_is_not_telling() -> None:
    assert kind("AX", "FLAIR") == FLAIR
    assert kind("t1_mprage", "FLAIR").not_flair


def test_the_standard_contrast_attribute_is_recognized() -> None:
    assert kind_of(Header(contrast="FLUID_ATTENUATED")) == FLAIR
