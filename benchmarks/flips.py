"""Change one byte of each saved file, and record which program reads it and with what outcome."""

import io
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from brainai.data.dataset import PARTS, read_dataset_info, read_records
from brainai.data.parts import read_part
from brainai.data.prepare import OPTIONS_FILE, PrepareOptions, start_folder
from brainai.data.store import open_store
from brainai.errors import BrainAIError
from brainai.hub.publish import model_files
from brainai.model.folder import load_model, load_scope
from brainai.training.checkpoints import load_best, load_checkpoint
from brainai.training.config import parse_config

OPTIONS = [  # options of every run: the smoke preset, with short epochs
    "--preset", "smoke", "--cpu", "--mixed-precision", "no", "--slices-per-case", "6",
]  # fmt: skip
TRAINING, READING = "train.py --resume", "train.py"
PUBLISHING, PREPARING = "brainai.hub.publish", "brainai.data.prepare"


def flip(path: Path, place: float = 0.5) -> None:
    """Change one byte of a file, at a fraction `place` of its length."""
    content = bytearray(path.read_bytes())
    content[min(int(len(content) * place), len(content) - 1)] ^= 0x15
    path.write_bytes(content)


def flip_rows(
    data: Path, run: Path, work: Path, options: Sequence[str] = OPTIONS
) -> Iterator[dict]:
    """Yield file, reader and outcome for every file of a finished run and of its data set.

    Args:
        work: folder for the damaged copies.
        options: options of `train.py` that the run was made with, besides --data and --out.
    """
    readers = [*run_readers(run, data, options), *data_readers(data)]
    for folder, name, by, read in readers:
        shutil.rmtree(work, ignore_errors=True)
        copy = shutil.copytree(folder, work)
        flip(copy / name)
        output = io.StringIO()
        with redirect_stderr(output), redirect_stdout(output):
            try:
                note = read(copy)
                outcome = f"{output.getvalue().strip()} {note}".strip()
            except BrainAIError as error:
                outcome = f"refused: {error}"
        label = "DATASET" if folder == data else "RUN"
        yield {"file": name, "by": by, "outcome": outcome.replace(str(copy), label)}


Reader = tuple[Path, str, str, Callable[[Path], str]]


def run_readers(run: Path, data: Path, options: Sequence[str]) -> Iterator[Reader]:
    """Yield every file of a run folder, with the function that reads it."""

    def resume(copy: Path) -> str:
        config = parse_config([*options, "--data", str(data), "--out", str(copy)])
        _, saved = load_checkpoint(config)
        network, _ = load_model(run / "model")
        load_best(copy, network)
        return f"(resumes with {len(saved['history'])} epochs)"

    def publish(copy: Path) -> str:
        files, _ = model_files(copy / "model", "owner/name")
        return f"(publishes {len(files)} files)"

    def model(copy: Path) -> str:
        load_model(copy / "model")
        load_scope(copy / "model")
        return publish(copy)

    for path in sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size):
        name = path.relative_to(run).as_posix()
        if name.startswith("checkpoints/"):
            yield run, name, TRAINING, resume
        elif name in ("metrics.jsonl", "config.json"):
            yield run, name, TRAINING, lambda copy: f"written anew {resume(copy)}"
        elif name.startswith("model/") and not name.endswith((".png", ".md")):
            yield run, name, PUBLISHING, model


def data_readers(data: Path) -> Iterator[Reader]:
    """Yield the files of a dataset folder, with a single picture and mask, and their readers."""

    def table(copy: Path) -> str:
        read_dataset_info(copy)
        return f"(reads {len(read_records(copy))} slices)"

    def decode(copy: Path) -> str:
        shutil.rmtree(copy / ".store", ignore_errors=True)
        open_store(copy, 32, progress=False)
        return "(decoded)"

    def stored(copy: Path) -> str:
        planes = open_store(copy, 32, progress=False).planes
        return f"(equal: {(planes == open_store(data, 32).planes).all()})"

    yield data, "metadata.csv", READING, table
    yield data, "dataset.json", READING, table
    record = next(record for record in read_records(data) if record.mask_file_name)
    yield data, record.file_name, READING, decode
    yield data, record.mask_file_name, READING, decode
    for path in (data / ".store").glob("*-32.npy"):
        yield data, f".store/{path.name}", READING, stored
    part = f"{PARTS}/{record.case_id}.json"
    if (data / part).exists():

        def again(copy: Path) -> str:
            try:
                read_part(record.case_id, copy)
            except (OSError, ValueError, KeyError, TypeError):
                return "the case counts as unfinished and is read again"
            return "(taken as it is)"

        def begin(copy: Path) -> str:
            start_folder(copy, PrepareOptions(()))
            return "(taken as it is)"

        yield data, part, PREPARING, again
        yield data, f"{PARTS}/{OPTIONS_FILE}", PREPARING, begin
