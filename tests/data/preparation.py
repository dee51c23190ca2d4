"""The command that prepares the cases of the fixture `raw`, and what it wrote."""

from pathlib import Path

from brainai.data.dataset import SliceRecord, read_records


def command(raw: Path, out: Path, *options: str, workers: int = 1) -> list[str]:
    sources = ["--source", "lgg", "--root", str(raw / "lgg")]
    sources += ["--source", "brats", "--root", str(raw / "brats")]
    return [*sources, "--out", str(out), "--workers", str(workers), *options]


def records_of(out: Path, case_id: str) -> list[SliceRecord]:
    return [record for record in read_records(out) if record.case_id == case_id]


def everything(out: Path) -> dict[str, bytes]:
    paths = [path for path in out.rglob("*") if path.is_file() and ".parts" not in path.parts]
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}
