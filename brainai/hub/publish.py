"""Publish a model, or a data set that may be shared, on the Hub.

    python -m brainai.hub.publish RUN owner/name                  # or a model folder
    python -m brainai.hub.publish --dataset DATASET owner/name --license cc-by-4.0

A new repository is private, unless --public is given. A model, its card and its charts are pushed
in one commit.
"""

import json
import shlex
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from huggingface_hub import HfApi, constants

from brainai.command_line import run_command
from brainai.data.files import write_text
from brainai.data.lock import LOCK, hold
from brainai.data.seals import sealed, unsealed
from brainai.errors import ConfigError, HubError, WeightsError
from brainai.evaluation.report_file import report_of
from brainai.hub.card import CHARTS, FIGURES, model_card
from brainai.hub.dataset import publish_dataset
from brainai.hub.options import Publish
from brainai.hub.upload import Target, changes, expected_parent, look_up, push
from brainai.model.folder import CARD, FILES, INFO, REPORT, load_model, load_scope
from brainai.model.hub_errors import BY_STATUS, CHANGED, OFFLINE, hub_errors

RECORD = "hub.json"  # in a run folder: what was pushed, and where
TAG_EXISTS = "{} already has a release {}: choose another --tag."


def publish_model(
    folder: Path, target: Target, *, tag: str | None = None, parent: str | None = None
) -> str:
    """Push the model of a run, or a model folder; return one line with the URL, commit and tag.

    A run folder keeps repository, commit and tag in `RECORD`.

    Args:
        folder: a run folder or a model folder.
        target: the repository to push to.
        tag: name of the release; None for `weights-` followed by the revision of the weights.
        parent: the expected commit on the main branch; "" if there is nothing to overwrite, None
            for any.
    Raises:
        WeightsError: the model folder is incomplete or damaged.
        ConfigError: the tag exists.
        HubError: nothing was pushed.
    """
    run = folder if (folder / "model").is_dir() and not (folder / INFO).exists() else None
    model = folder if run is None else folder / "model"
    files, revision = model_files(model, target.repository)
    with hub_errors(f"{target.url} was not changed"):
        listing, tags = look_up(target)
        head = expected_parent(listing)
        if tag in tags and (tags[tag] != head or changes(target, files, listing)):
            raise ConfigError(TAG_EXISTS.format(target.url, tag))
        if parent not in (None, head):
            raise HubError(f"{target.url} was not changed: {CHANGED}")
        commit = push(target, files, listing, message=f"Weights {revision}")
    release = tag or f"weights-{revision}"
    if release not in tags:
        with hub_errors(f"{target.url} has the commit {commit}, but not the tag {release}"):
            HfApi().create_tag(target.repository, tag=release, revision=commit)
    record = {"repository": target.repository, "commit": commit}
    if (tagged := tags.get(release, commit)) == commit:
        record["tag"], tag_note = release, f", tag {release}"
    else:  # the same weights with another card
        tag_note = f"; the tag {release} stays at {tagged}"
    if run is not None:
        write_record(run, record)
    return f"{target.url}: commit {commit}{tag_note}"


def without_training(folder: Path) -> AbstractContextManager[None]:
    """Keep a training from changing a run, or the model in it, while it is published.

    Raises:
        ConfigError: a training is writing to the run.
    """
    folders = (folder, folder.absolute().parent)
    run = next((candidate for candidate in folders if (candidate / LOCK).exists()), None)
    busy = f"A training is writing to {run}: publish its model after the training has ended."
    return nullcontext() if run is None else hold(run, busy)


def model_files(folder: Path, repository: str) -> tuple[dict[str, bytes], str]:
    """Return the files of a model folder by name, and the revision of its weights.

    The card is written again so that it names the repository, unless it was edited by hand.

    Raises:
        WeightsError: a file is missing, damaged or from another model, or there is no report.
    """
    if not (folder / INFO).is_file():
        raise WeightsError(
            f"{folder} holds neither a finished run nor a model: expected {INFO} in it or in its "
            "subfolder model."
        )
    _, info = load_model(folder)
    load_scope(folder)
    report = report_of(folder / REPORT, info.revision)
    if report is None:
        raise WeightsError(
            f"{folder} has no report.json of these weights in the format of this version, and "
            "weights are published only with their figures: run `python -m brainai.evaluation "
            "--model … --out OUT`, then `python -m brainai.hub.describe`."
        )
    names = [*FILES, *(f"{FIGURES}/{name}" for name in CHARTS)]
    files = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    charts = [name for name in CHARTS if f"{FIGURES}/{name}" in files]
    if files.get(CARD) in (None, model_card(info, report, charts).encode()):
        files[CARD] = model_card(info, report, charts, repository).encode()
    return files, info.revision


def begin(run: Path, target: Target, tag: str | None = None) -> None:
    """Check before training that the token may write, and note which commit is on the Hub.

    The push after training then does not overwrite what another run has pushed meanwhile. A
    fine-grained token passes the check: what it may do is known only when it is used.

    Raises:
        HubError: the token is missing or wrong, or may not write to the repository.
        ConfigError: the tag exists.
    """
    what = f"{target.repository} cannot be written to"
    if constants.HF_HUB_OFFLINE:
        raise HubError(f"{what}: {OFFLINE}")
    try:
        with hub_errors(what):
            user = HfApi().whoami()
            listing, tags = look_up(target)
    except HubError as error:
        if not error.unreachable:
            raise
        print(f"{error} Training begins; the push is tried when it ends.", file=sys.stderr)
        return
    owners = {user["name"], *(org["name"] for org in user.get("orgs", ()))}
    role = user.get("auth", {}).get("accessToken", {}).get("role")
    if role == "read" or target.repository.split("/")[0] not in owners:
        raise HubError(f"{what}: {BY_STATUS[403]}")
    record = read_record(run)
    if tag in tags and record.get("tag") != tag:
        raise ConfigError(TAG_EXISTS.format(target.url, tag))
    if record.get("repository") != target.repository:  # a resumed run keeps its record
        write_record(run, {"repository": target.repository, "parent": expected_parent(listing)})


def publish_run(run: Path, target: Target, tag: str | None) -> str:
    """Push after training, unless somebody else has pushed since `begin`; see `publish_model`.

    Raises:
        HubError: nothing was pushed; the message ends with the command to try again.
    """
    options = [*(["--public"] if target.public else []), *(["--tag", tag] if tag else [])]
    command = ["python", "-m", "brainai.hub.publish", str(run), target.repository, *options]
    try:
        return publish_model(run, target, tag=tag, parent=read_record(run).get("parent"))
    except (HubError, ConfigError) as error:
        raise HubError(
            f"The run in {run} is complete; only its push failed. {error} Then run: "
            + shlex.join(command)
        ) from error


def read_record(run: Path) -> dict[str, str]:
    """Return the content of `RECORD` of a run; {} if it is missing or damaged."""
    try:
        return unsealed((run / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}


def write_record(run: Path, record: dict[str, str]) -> None:
    """Write `RECORD`, completely or not at all."""
    write_text(run / RECORD, json.dumps(sealed(record), indent=2) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing an error."""
    return run_command(Publish, run, arguments, "python -m brainai.hub.publish")


def run(options: Publish, _: Sequence[str]) -> None:
    """Publish the model or data set that the options name, and print its URL and commit."""
    target = Target(options.repository, "dataset" if options.dataset else "model", options.public)
    if not options.dataset:
        with without_training(options.folder):
            print(publish_model(options.folder, target, tag=options.tag))
        return
    if options.tag:
        raise ConfigError(
            "--tag is for models: leave it out, since a data set is named by its content hash."
        )
    print(publish_dataset(options.folder, target, options.license))


if __name__ == "__main__":
    sys.exit(main())
