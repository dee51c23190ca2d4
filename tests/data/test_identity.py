"""One person under several names is recognized and always gets the same name."""

from itertools import permutations
from pathlib import Path

import pytest

from brainai.data.identity import join_persons, read_same_patient, tcga_ids
from brainai.errors import DataError


def test_tcga_ids_are_found_with_any_separator() -> None:
    for text in ("x/TCGA-CS-4942_1997.02.22.nii", "tcga.cs.4942", "TCGA_CS_4942_19970222"):
        assert tcga_ids(text) == ("TCGA_CS_4942",)


@pytest.mark.parametrize(
    "text", ["/LGG/TCGA/imaging/Protocols", "run_TCGA_Connect.sh", "TCGA-CS-49421", "XTCGA-CS-4942"]
)
def test_other_words_containing_tcga_are_not_ids(text: str) -> None:
    assert tcga_ids(text) == ()


def test_names_are_joined_through_a_third_name_in_any_order() -> None:
    groups = [("b", "TCGA_CS_4942"), ("a", "b"), ("c",), ("d", "a")]
    for order in permutations(groups):
        persons = join_persons(order)
        assert {persons[name] for name in "abd"} == {"TCGA_CS_4942"}
        assert persons["c"] == "c"


def test_a_person_gets_the_alphabetically_first_name() -> None:
    assert join_persons([("z", "same-pixels-0", "m")])["z"] == "m"


def test_a_release_table_joins_names_and_ignores_other_columns(tmp_path: Path) -> None:
    table = tmp_path / "name_mapping.csv"
    table.write_text(
        "Grade,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,BraTS_2020_subject_ID\n"
        "HGG,Brats18_CBICA_AAB_1,NA,BraTS20_Training_001\n"
        "LGG,NA,TCGA-CS-4942,BraTS20_Training_002\n"
    )
    groups = read_same_patient(table, known=())
    assert groups[1:] == [
        ("Brats18_CBICA_AAB_1", "BraTS20_Training_001"),
        ("TCGA_CS_4942", "BraTS20_Training_002"),
    ]


def test_short_names_are_joined_only_if_the_data_contain_them(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("12,17\n3,4\n")
    assert read_same_patient(table, known=("12", "17", "3")) == [("12", "17")]


def test_a_table_without_pairs_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("HGG\nNA\n")
    with pytest.raises(DataError, match=r"pairs\.csv: expected rows"):
        read_same_patient(table, known=())
    with pytest.raises(DataError, match="expected a CSV file"):
        read_same_patient(tmp_path / "none.csv", known=())
