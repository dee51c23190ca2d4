"""The Space, made or brought up to date with one command, and only the files that it needs.

    python -m brainai.hub.space owner/space --model owner/name@revision

`--dry-run` prints what would be done; `--out FOLDER` writes the Space's files there instead.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent

from huggingface_hub import CommitOperationAdd, HfApi, SpaceCard, hf_hub_download

from brainai import DISCLAIMER, __version__
from brainai.command_line import run_command
from brainai.errors import ConfigError
from brainai.hub.options import Space
from brainai.hub.terms import NON_COMMERCIAL
from brainai.hub.upload import Files, Operation, Target, changes, look_up, push
from brainai.model.fetch import HUB_ID, check_names, list_files
from brainai.model.folder import FILES, INFO, read_model_info
from brainai.model.hub_errors import hub_errors

ROOT = Path(__file__).parents[2]
TEXT = Path(__file__).with_name("space_card.md")
VARIABLE = "BRAINAI_WEIGHTS"
NEEDED = ("app.py", "requirements.txt")
CONTENT = (*NEEDED, "LICENSE", "brainai/**/*", "examples/*", *(f"weights/{name}" for name in FILES))
FOLDERS = ("brainai/", "examples/", "weights/")  # old files in these are ours to delete


@dataclass(frozen=True)
class Pinned:
    """A model on the Hub as it is at one commit."""

    repository: str
    commit: str
    files: tuple[str, ...]  # those that an answer needs
    private: bool
    sources: tuple[str, ...] = ()  # what it was trained on, where that was noted

    @property
    def id(self) -> str:
        """`owner/name@commit`."""
        return f"{self.repository}@{self.commit}"


def pin(name: str) -> Pinned:
    """What `owner/name@revision` stands for now.

    Raises:
        ConfigError: it is no such name. WeightsError: it holds no model, or a damaged one.
        HubError: the Hub has none, or cannot be reached.
    """
    found = HUB_ID.fullmatch(name)
    if found is None:
        raise ConfigError(f"--model: expected owner/name@revision on the Hub, found {name!r}.")
    with hub_errors(f"{name} was not looked up"):
        listing = list_files(found["repository"], revision=found["revision"])
    check_names(set(listing.files), name)
    files = tuple(file for file in FILES if file in listing.files)
    sources = ()
    if INFO in files:  # a timm classifier of others has none
        with hub_errors(f"{INFO} of {name} was not fetched"):
            info = hf_hub_download(found["repository"], INFO, revision=listing.commit)
        sources = trained_on(Path(info).parent)
    return Pinned(found["repository"], listing.commit, files, listing.private, sources)


def trained_on(folder: Path) -> tuple[str, ...]:
    """The sources that a model folder names, or none; errors of `read_model_info`."""
    return tuple(read_model_info(folder).training.get("sources", ()))


def space_files(root: Path, space: str, model: Pinned, hardware: str) -> Files:
    """The files of the Space by name: those of `CONTENT`, and its card.

    A file that git does not know stays private, where there is git to ask.

    Args:
        root: a checkout of this repository.
        space: owner/name of the Space.
        hardware: what its front matter suggests, such as cpu-basic or zero-a10g.
    Raises:
        ConfigError: it is no checkout.
    """
    if not all((root / name).is_file() for name in NEEDED):
        raise ConfigError(
            f"{root} is no checkout of BrainAI: expected {' and '.join(NEEDED)} in it. "
            "Run the command from one."
        )
    found = [path for pattern in CONTENT for path in root.glob(pattern) if path.is_file()]
    names = {path.relative_to(root).as_posix() for path in found}
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        names &= set(
            subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).split("\0")
        )
    except (OSError, subprocess.CalledProcessError):
        names = {name for name in names if "/." not in name and "__pycache__" not in name}
    files: dict[str, Path | bytes] = {name: root / name for name in names}
    files["README.md"] = space_card(root, space, model, hardware).encode()
    return dict(sorted(files.items()))


def space_card(root: Path, space: str, model: Pinned, hardware: str) -> str:
    """README.md of the Space: the front matter of this repository's, filled in.

    Its form: https://huggingface.co/docs/hub/spaces-config-reference
    """
    data = SpaceCard.load(root / "README.md").data
    data["models"] = [model.repository]
    data["suggested_hardware"] = hardware
    if not model.private:  # fetched while the Space is built, where there is no secret
        data["preload_from_hub"] = [f"{model.repository} {','.join(model.files)} {model.commit}"]
    text = TEXT.read_text(encoding="utf-8").format(
        title=data["title"],
        disclaimer=DISCLAIMER,
        license=license(root, model),
        repository=model.repository,
        commit=model.commit,
        space=space,
        version=__version__,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def license(root: Path, model: Pinned) -> str:
    """Whose terms may bind those who use the weights that answer, or those that stand in."""
    if "lgg" in model.sources:
        return NON_COMMERCIAL
    if "lgg" in trained_on(root / "weights"):
        return f"{NON_COMMERCIAL} This is about the weights in `weights/`, which stand in."
    return ""


def owns(name: str) -> bool:
    """Whether an old file of a Space is one that an earlier command put there."""
    return name.startswith(FOLDERS)


def plan(
    target: Target, files: Files, operations: list[Operation], model: Pinned, new: bool
) -> str:
    """What would be done, for people."""
    state = "a new one" if new else "there is one"
    added = [one for one in operations if isinstance(one, CommitOperationAdd)]
    front_matter = bytes(files["README.md"]).decode().split("---")[1].strip()
    lines = [
        f"Space     {target.url} ({state}; {'public' if target.public else 'private'} if new)",
        f"variable  {VARIABLE}={model.id}",
        *(["secret    HF_TOKEN, to be set by you: the model is private"] if model.private else []),
        f"files     {len(files)}, of which {len(files) - len(added)} are there already",
        *(f"  + {one.path_in_repo} ({one.upload_info.size:,} bytes)" for one in added),
        *(f"  - {one.path_in_repo}" for one in operations if one not in added),
        "README.md",
        indent(front_matter, "  "),
    ]
    return "\n".join(lines)


def write_files(files: Files, out: Path) -> None:
    """Write the files of a Space into a new folder.

    Raises:
        ConfigError: there is something in it already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: expected a new or empty folder.")
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())


def set_variable(space: str, value: str) -> None:
    """Name the weights to the Space, unless it has that name: setting it starts the Space anew."""
    with hub_errors(f"{VARIABLE} of {space} was not set"):
        known = HfApi().get_space_variables(space).get(VARIABLE)
        if known is None or known.value != value:
            HfApi().add_space_variable(space, VARIABLE, value)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Space, run, arguments, "python -m brainai.hub.space")


def run(chosen: Space, _: Sequence[str]) -> None:
    """Do what the options say, and print it."""
    target = Target(chosen.space, "space", chosen.public)
    model = pin(chosen.model)
    files = space_files(ROOT, target.repository, model, chosen.hardware)
    if chosen.out is not None:
        write_files(files, chosen.out)
        print(f"{len(files)} files in {chosen.out}; to be started with {VARIABLE}={model.id}")
        return
    if chosen.dry_run:
        listing = look_up(target)
        print(plan(target, files, changes(files, listing, owns), model, listing is None))
        return
    commit = push(
        target,
        files,
        owns=owns,
        message=f"Answer with {model.repository} at {model.commit[:12]}",
        space_sdk="gradio",
        space_variables=[{"key": VARIABLE, "value": model.id}],
    )
    set_variable(target.repository, model.id)
    print(f"{target.url}: commit {commit}, {VARIABLE}={model.id}")
    if model.private:
        print("The model is private: set the secret HF_TOKEN in the settings of the Space.")


if __name__ == "__main__":
    sys.exit(main())
