"""The work behind page and API, here and on a GPU that is lent."""

import pickle
from functools import wraps

import numpy as np
import pytest
from toy_heads import head, scan_file

from brainai import Classifier
from brainai.errors import DataError, OutOfScope
from brainai.inference.scan import ScanPrediction, ScanProgress
from brainai.web.jobs import Jobs


@pytest.fixture(scope="module")
def jobs(model_folder) -> Jobs:
    return Jobs.of(Classifier.load(model_folder, device="cpu"))


def lend(duration: int):
    """Like `spaces.GPU`: input and output are pickled, and errors lose their details."""

    def send(value):
        return pickle.loads(pickle.dumps(value))

    def wrap(work):
        @wraps(work)
        def once(*given, **named):
            try:
                return send(work(*send(given), **send(named)))
            except Exception as error:
                raise RuntimeError("ZeroGPU worker error") from error

        @wraps(work)
        def steps(*given, **named):
            try:
                for step in work(*send(given), **send(named)):
                    yield send(step)
            except Exception as error:
                raise RuntimeError("ZeroGPU worker error") from error

        return once if work.__name__ == "predict" else steps

    return wrap


@pytest.fixture(params=["here", "on a lent GPU"])
def placed(jobs, request) -> Jobs:
    return jobs if request.param == "here" else jobs.on_gpu(lend)


def test_a_slice_gets_the_same_answer_here_and_on_a_lent_gpu(jobs, placed, save):
    file = str(save("slice.png", head(1)))
    assert placed.slice(flair=file).probability == jobs.slice(flair=file).probability


def test_an_error_keeps_its_message_and_code(placed, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="could not be read as a picture") as caught:
        placed.slice(flair=str(tmp_path / "bad.png"))
    assert caught.value.code == "unreadable"


def test_a_scan_yields_its_progress_and_then_the_answer(placed, tmp_path):
    *progress, found = placed.scan(flair=scan_file(tmp_path / "flair.nii.gz"))
    assert [(step.done, step.total) for step in progress] == [(4, 10), (8, 10), (10, 10)]
    assert all(isinstance(step, ScanProgress) for step in progress)
    assert [step.latest.index for step in progress] == [4, 8, 10]  # the two ends are nearly empty
    assert isinstance(found, ScanPrediction)


def test_a_scan_out_of_scope_keeps_its_reason(jobs):
    def refuse(**_):
        raise OutOfScope("FLAIR: …", "looks like T1")
        yield

    with pytest.raises(OutOfScope) as caught:
        list(jobs._replace(scan=refuse).on_gpu(lend).scan())
    assert caught.value.reason == "looks like T1"


def test_each_of_many_files_has_its_own_answer(placed, save, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    color = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    refused = DataError("Too large.", "too_large")
    files = [str(save("a.png", head(1))), str(tmp_path / "bad.png"), refused]
    good, bad, large, colored = placed.many([*files, str(save("c.png", color))])
    assert good.label in ("Tumor", "No Tumor")
    assert (bad.code, large.code) == ("unreadable", "too_large")
    assert colored.reason == "color picture"


def test_an_unexpected_error_becomes_an_answer_without_details(model_folder, save):
    classifier = Classifier.load(model_folder, device="cpu")

    def fail(*_):
        raise MemoryError("at /data/Mueller")

    classifier.predict = classifier.predict_batch = fail
    (answer,) = Jobs.of(classifier).many([str(save("a.png", head(1)))])
    assert answer.code == "internal"
    assert "Mueller" not in str(answer)
