"""A model, or a data set that may be shared, to the Hub.

    python -m brainai.hub.publish RUN owner/name                  # or a model folder
    python -m brainai.hub.publish --dataset DATASET owner/name --license cc-by-4.0

Private, unless --public says otherwise. A model goes in one commit with its card and charts.
"""

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from brainai.command_line import run_command
from brainai.data.files import write_text
from brainai.data.lock import LOCK, hold
from brainai.data.seals import sealed, unsealed
from brainai.errors import ConfigError, HubError, WeightsError
from brainai.hub.card import CHARTS, FIGURES, model_card
from brainai.hub.dataset import publish_dataset
from brainai.hub.options import Publish
from brainai.hub.upload import (
    Files,
    Target,
    add_tag,
    changes,
    check_right,
    expected,
    look_up,
    push,
    tags_of,
)
from brainai.model.folder import (
    CARD,
    FILES,
    INFO,
    load_model,
    load_scope,
    read_model_info,
    read_model_report,
)

RECORD = "hub.json"  # in a run folder: what was pushed where
TAKEN = "{} has a release {} already: choose another --tag."


def publish_model(
    folder: Path, target: Target, *, tag: str | None = None, parent: str | None = None
) -> str:
    """Push the model of a run, or a model folder; in a line, what is now where. A run keeps it in
    `RECORD`.

    Args:
        folder: of a run, or of a model.
        tag: name of the release; None is `weights-` and the revision of the weights.
        parent: what is expected on the main branch, see `push`.
    Raises:
        WeightsError: it is no whole model folder. ConfigError: the tag is taken.
        HubError: nothing was pushed.
    """
    run = folder if (folder / "model").is_dir() and not (folder / INFO).exists() else None
    model = folder if run is None else folder / "model"
    files, revision = model_files(model, target.repository)
    listing = look_up(target)
    tags = {} if listing is None else tags_of(target)
    if tag in tags and (tags[tag] != listing.commit or changes(files, listing, owns)):
        raise ConfigError(TAKEN.format(target.url, tag))
    commit = push(target, files, owns=owns, message=f"Weights {revision}", parent=parent)
    release = tag or f"weights-{revision}"
    if release not in tags:
        add_tag(target, release, commit)
    record = {"repository": target.repository, "commit": commit, "url": target.url}
    if (tagged := tags.get(release, commit)) == commit:
        record["tag"], said = release, f", tag {release}"
    else:  # the same weights with another card
        said = f"; the tag {release} stays at {tagged}"
    if run is not None:
        write_record(run, record)
    return f"{target.url}: commit {commit}{said}"


@contextmanager
def untouched(folder: Path) -> Iterator[None]:
    """Keep a training from changing a run, or the model in one, while it is published.

    Raises:
        ConfigError: a training is writing to the run.
    """
    places = (folder, folder.absolute().parent)
    run = next((place for place in places if (place / LOCK).exists()), None)
    busy = f"A training is writing to {run}: publish its model when it has ended."
    with nullcontext() if run is None else hold(run, busy):
        yield


def owns(name: str) -> bool:
    """Whether an old file of a repository is one that an earlier push put there."""
    return name in FILES or name.startswith(f"{FIGURES}/")


def model_files(folder: Path, repository: str) -> tuple[Files, str]:
    """The files of a model folder by name, its card naming the repository, and its revision.

    A card that was edited by hand goes as it is.

    Raises:
        WeightsError: a file is missing, damaged or of another model; or there is no report.
    """
    if not (folder / INFO).is_file():
        raise WeightsError(
            f"{folder} holds neither a finished run nor a model: expected {INFO} in it, or in its "
            "folder model."
        )
    load_model(folder)
    load_scope(folder)
    info, report = read_model_info(folder), read_model_report(folder)
    if report is None:
        raise WeightsError(
            f"{folder} has no report.json of this version, and weights are not published without "
            "their figures: `python -m brainai.evaluation --model … --out OUT`, then "
            "`python -m brainai.hub.describe`."
        )
    if report["about"].get("model_revision") != info.revision:
        raise WeightsError(
            f"{folder} has a report of other weights: evaluate these, then "
            "`python -m brainai.hub.describe`."
        )
    charts = [name for name in CHARTS if (folder / FIGURES / name).is_file()]
    names = [name for name in FILES if (folder / name).is_file()]
    names += [f"{FIGURES}/{name}" for name in charts]
    files: dict[str, Path | bytes] = {name: folder / name for name in names}
    own = model_card(info, report, charts).encode()
    if CARD not in files or (folder / CARD).read_bytes() == own:
        files[CARD] = model_card(info, report, charts, repository).encode()
    return files, info.revision


def begin(run: Path, target: Target, tag: str | None = None) -> None:
    """Before training: check the right to write, and note which commit is there, so that what
    another run pushes meanwhile is not overwritten.

    Raises:
        HubError: there is no right to write there. ConfigError: the tag is taken.
    """
    try:
        check_right(target)
        listing = look_up(target)
        taken = tag is not None and listing is not None and tag in tags_of(target)
    except HubError as error:
        if not error.unreachable:
            raise
        print(f"{error} Training begins; the push is tried at its end.", file=sys.stderr)
        return
    known = read_record(run)
    if taken and known.get("tag") != tag:
        raise ConfigError(TAKEN.format(target.url, tag))
    if known.get("repository") != target.repository:  # else a run that goes on
        write_record(run, {"repository": target.repository, "parent": expected(listing)})


def publish_run(run: Path, target: Target, tag: str | None) -> str:
    """After training: push, unless somebody else has pushed since `begin`; see `publish_model`.

    Raises:
        HubError: nothing was pushed; the message ends with the command that tries again.
    """
    again = shlex.join(
        ["python", "-m", "brainai.hub.publish", str(run), target.repository]
        + (["--public"] if target.public else [])
        + (["--tag", tag] if tag else [])
    )
    try:
        return publish_model(run, target, tag=tag, parent=read_record(run).get("parent"))
    except (HubError, ConfigError) as error:
        raise HubError(
            f"The run in {run} is complete, only its push failed. {error} Then: {again}"
        ) from error


def read_record(run: Path) -> dict[str, str]:
    """What `RECORD` of a run tells; {} where there is none, or it is damaged."""
    try:
        return unsealed((run / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}


def write_record(run: Path, record: dict[str, str]) -> None:
    """Write `RECORD`, whole or not at all."""
    write_text(run / RECORD, json.dumps(sealed(record), indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Publish, run, arguments, "python -m brainai.hub.publish")


def run(options: Publish, _: Sequence[str]) -> None:
    """Publish what the options name, and print where it is."""
    if options.dataset and options.tag:
        raise ConfigError("--tag is for models: a data set is named by its content hash.")
    if options.dataset:
        target = Target(options.repository, "dataset", options.public)
        print(publish_dataset(options.folder, target, options.license))
        return
    with untouched(options.folder):
        target = Target(options.repository, public=options.public)
        print(publish_model(options.folder, target, tag=options.tag))


if __name__ == "__main__":
    sys.exit(main())
