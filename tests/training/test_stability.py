"""How far fitted numbers move without one patient."""

import numpy as np
import pytest
from toy import write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.training.stability import leave_one_out, main


def test_each_number_is_fitted_without_each_patient() -> None:
    values, patients = np.array([1.0, 2.0, 3.0, 10.0]), ["a", "a", "b", "c"]
    found = leave_one_out(lambda chosen: {"mean": values[chosen].mean()}, patients)
    # Without a: 13/2. Without b: 13/3. Without c: 6/3.
    assert found == {"mean": (pytest.approx(4.0), pytest.approx(2.0), pytest.approx(6.5))}


def test_the_table_names_every_number(model_folder, dataset_folder, capsys) -> None:
    assert main(["--model", str(model_folder), "--data", str(dataset_folder)]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][0] == "| fitted to 3 patients of `valid`"
    assert [row[0] for row in rows[2:5]] == [
        "| mask shift", "| weight of the class score", "| weight of the mask score",
    ]  # fmt: skip
    for _, value, span in rows[2:]:
        low, high = map(float, span.rstrip(" |").split(" to "))
        assert low <= high
        assert float(value) == float(value)


def test_too_few_patients_are_one_sentence(model_folder, tmp_path, capsys) -> None:
    data = write_dataset(tmp_path)
    records = [r for r in read_records(data) if r.case_id not in ("valid0", "valid1")]
    write_records(data / "metadata.csv", records)
    assert main(["--model", str(model_folder), "--data", str(data)]) == 2
    assert "found 1 without tumour and 1 with" in capsys.readouterr().err
