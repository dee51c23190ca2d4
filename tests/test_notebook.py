"""The teaching notebook: every cell runs, and computes what the text says."""

import json
import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

NOTEBOOK = Path(__file__).parents[1] / "examples" / "brainai_tour.ipynb"
COMPUTED = """
import json
print(json.dumps({
    "slice": prediction.label,
    "overlap": float(metrics.dice(
        (prediction.mask & truth[:, :, level].T).sum(),
        (prediction.mask & ~truth[:, :, level].T).sum(),
        (~prediction.mask & truth[:, :, level].T).sum(),
    )),
    "scan": scan.label,
    "missed": int((truth.any(axis=(0, 1)) & (scan.slices < scan.slice_threshold)).sum()),
    "labels": {name: answer.label for name, answer in answers.items()},
    "reasons": {name: answer.reason for name, answer in answers.items()},
    "people": {part: len(set(one.patient_id)) for part, one in scores.items()},
    "with_tumor": {part: len(set(one.patient_id[one.label == 1])) for part, one in scores.items()},
    "calibration": [metrics.calibration_error(label, one) for one in (probability, timid)],
    "ranking": [metrics.auroc(label, one) for one in (probability, timid)],
    "errors": [error_before, error_after],
    "points": {name: at(threshold) for name, threshold in points.items()},
    "compared": {n: metrics.auroc(one.label, one.probability) for n, one in compared.items()},
    "baselines": [[metrics.auroc(one.label, one.probability) for one in found.values()]
                  for found in baselines.values()],
    "model": sorted(path.name for path in (run / "model").glob("*.safetensors")),
    "work": str(work),
}))
"""


def read() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = read()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert cell.get("outputs", []) == [] and cell.get("execution_count") is None
        assert cell.get("attachments") is None
    assert NOTEBOOK.stat().st_size < 40_000


def test_no_cell_of_the_notebook_contains_an_absolute_path() -> None:
    for cell in read().cells:
        assert not re.search(r"""["'\s=](/|~|[A-Z]:\\)\w""", cell.source), cell.source


def test_the_notebook_imports_the_simulation_in_one_place() -> None:
    imports = re.compile(r"^(from|import) .*phantom", re.MULTILINE)
    assert len([cell for cell in read().cells if imports.search(cell.source)]) == 1


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> NotebookNode:
    """The executed notebook, with one more cell that prints what the others computed."""
    place = tmp_path_factory.mktemp("notebook")
    notebook = read()
    notebook.cells.append(new_code_cell(COMPUTED))
    environment = {name: text for name, text in os.environ.items() if name != "MPLBACKEND"}
    environment |= {name: str(place) for name in ("TMPDIR", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    client = NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.create_kernel_manager()
    client.km.kernel_spec.argv[0] = sys.executable
    return client.execute(env=environment)


@pytest.fixture(scope="module")
def computed(ran: NotebookNode) -> dict:
    """What the cells computed."""
    return json.loads(ran.cells[-1].outputs[0].text)


@pytest.mark.slow
def test_slice_and_scan_with_a_tumor_are_called_tumor(computed: dict) -> None:
    assert (computed["slice"], computed["scan"]) == ("Tumor", "Tumor")
    assert computed["overlap"] > 0.8
    assert computed["missed"] >= 1  # "misses slices that show only the edge"


@pytest.mark.slow
def test_only_the_upright_flair_slice_and_its_mirror_image_are_judged(computed: dict) -> None:
    labels, reasons = computed["labels"], computed["reasons"]
    judged = {name for name, label in labels.items() if label != "Cannot judge"}
    assert judged == {"as it is", "mirrored left to right"}
    assert reasons["upside down"] == reasons["on its side"] == "looks upside down or turned"
    assert reasons["a photo"] == "color picture"


@pytest.mark.slow
def test_each_split_has_people_with_and_without_a_tumor(computed: dict) -> None:
    assert computed["people"] == {"train": 8, "valid": 4, "test": 4}
    assert computed["with_tumor"] == {"train": 4, "valid": 2, "test": 2}


@pytest.mark.slow
def test_the_timid_model_ranks_equally_well_but_is_worse_calibrated(computed: dict) -> None:
    (given, timid), (ranking, same) = computed["calibration"], computed["ranking"]
    assert ranking == pytest.approx(same, abs=1e-6)
    assert timid > 3 * given
    before, after = computed["errors"]
    assert after < before / 2


@pytest.mark.slow
def test_a_higher_threshold_trades_sensitivity_for_specificity(computed: dict) -> None:
    sensitivity, specificity = zip(*computed["points"].values(), strict=True)
    assert sorted(sensitivity, reverse=True) == list(sensitivity)
    assert sorted(specificity) == list(specificity)
    assert sensitivity[0] - sensitivity[-1] > 0.2 and specificity[-1] > specificity[0]


@pytest.mark.slow
def test_position_alone_beats_chance_and_the_weights_beat_position(computed: dict) -> None:
    assert 0.65 < computed["compared"]["position alone"] < computed["compared"]["weights"]
    (position, _), (position_on_test, _) = computed["baselines"]
    assert abs(position - position_on_test) > 0.03  # "differs from one to the other"


@pytest.mark.slow
def test_the_small_training_gives_a_model_far_below_the_weights(computed: dict) -> None:
    assert computed["model"] == ["decoder.safetensors", "model.safetensors"]
    assert 0.5 < computed["compared"]["trained here"] < computed["compared"]["weights"] - 0.05


@pytest.mark.slow
def test_the_notebook_shows_its_figures_and_works_in_a_temporary_folder(
    ran: NotebookNode, computed: dict, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outputs = [output for cell in ran.cells for output in cell.get("outputs", [])]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == sum("plt.show()" in cell.source for cell in ran.cells) == 6
    assert Path(computed["work"]).is_relative_to(tmp_path_factory.getbasetemp())
