"""How far fitted numbers move without one patient."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from toy import write_dataset

from brainai.data.dataset import read_records, write_records
from brainai.model.scope import Scope
from brainai.training import stability
from brainai.training.stability import leave_one_out, main, rows_of


def test_each_value_is_fitted_without_each_patient() -> None:
    values, patients = np.array([1.0, 2.0, 3.0, 10.0]), ["a", "a", "b", "c"]
    found = leave_one_out(lambda chosen: {"mean": values[chosen].mean()}, patients)
    # Without a: 13/2. Without b: 13/3. Without c: 6/3.
    assert found == {"mean": (pytest.approx(2.0), pytest.approx(6.5))}


def test_a_source_that_holds_all_of_a_class_is_not_left_out(dataset_folder) -> None:
    whose = [("p", 1, "a"), ("q", 0, "b"), ("r", 1, "c"), ("s", 1, "c")]
    records = [
        replace(record, patient_id=patient, label=label, source=source)
        for record, (patient, label, source) in zip(
            read_records(dataset_folder), whose, strict=False
        )
    ]
    values = np.array([1.0, 2.0, 3.0, 6.0])
    (row,) = rows_of(lambda chosen: {"mean": values[chosen].mean()}, records)
    # 12/4; without a patient 6/3 to 11/3; without a 11/3, without c 3/2; b alone has no tumor.
    assert row == "| mean | 3 | 2 to 3.67 | 1.5 to 3.67 |"


def test_the_table_lists_every_fitted_value(model_folder, dataset_folder, capsys) -> None:
    assert main(["--model", str(model_folder), "--data", str(dataset_folder)]) == 0
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert rows[0][0] == "| fitted to 3 patients of `valid`"
    assert [row[0] for row in rows[2:5]] == [
        "| mask shift", "| weight of the class score", "| weight of the mask score",
    ]  # fmt: skip
    for _, value, span, of_sources in rows[2:]:
        low, high = map(float, span.split(" to "))
        assert low <= high
        assert float(value) == float(value)
        assert of_sources == "n/a |"  # there is one alone


def test_the_limits_of_a_scope_are_those_without_the_slices_left_out(
    dataset_folder, monkeypatch
) -> None:
    records = [replace(r, source="lgg", label=0) for r in read_records(dataset_folder)[:4]]
    log_odds = torch.tensor([[1.0, 10, 5, 7], [2, 20, 5, 7], [3, 30, 5, 7], [4, 40, 5, 7]])
    distance = torch.tensor([1.0, 2, 3, 4])
    monkeypatch.setattr(stability, "valid_planes", lambda data: (None, records))
    monkeypatch.setattr(stability, "measure", lambda scope, planes: (log_odds, distance))
    fit_to, found = stability.scope_fit(Scope(), dataset_folder)
    assert found == records
    limits = fit_to(np.array([False, True, False, False]))
    assert limits == {
        "least log-odds against 'another sequence'": 2.0,
        "least log-odds against 'turned'": 20.0,
        "least log-odds against 'another view'": 5.0,
        "least log-odds against 'no slice'": 7.0,
        "largest distance": 2.0,
    }


def test_too_few_patients_give_a_one_sentence_error(model_folder, tmp_path, capsys) -> None:
    data = write_dataset(tmp_path)
    records = [r for r in read_records(data) if r.case_id not in ("valid0", "valid1")]
    write_records(data / "metadata.csv", records)
    assert main(["--model", str(model_folder), "--data", str(data)]) == 2
    assert "found 1 without tumor and 1 with" in capsys.readouterr().err
