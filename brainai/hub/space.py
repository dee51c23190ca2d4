"""Create or update the Space with one command, with only the files that it needs.

    python -m brainai.hub.space owner/space --model owner/name@revision

`--dry-run` only prints what would be done. `--out FOLDER` writes the files into a folder instead.
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
OWNED = ["brainai/*", "examples/*", "weights/*"]  # old files in these folders are deleted


@dataclass(frozen=True)
class Pinned:
    """A model on the Hub at one commit."""

    repository: str
    commit: str
    files: tuple[str, ...]  # the files that answering needs
    private: bool
    sources: tuple[str, ...] = ()  # of the training data, if they were noted

    @property
    def id(self) -> str:
        """`owner/name@commit`."""
        return f"{self.repository}@{self.commit}"


def pin(name: str) -> Pinned:
    """Return the commit and files that `owner/name@revision` stands for now.

    Raises:
        ConfigError: `name` is not of that form.
        WeightsError: the repository holds no model, or a damaged one.
        HubError: there is no such repository or revision, or the Hub cannot be reached.
    """
    parts = HUB_ID.fullmatch(name)
    if parts is None:
        raise ConfigError(f"--model: expected owner/name@revision on the Hub, found {name!r}.")
    with hub_errors(f"{name} was not looked up"):
        listing = list_files(parts["repository"], revision=parts["revision"])
    check_names(set(listing.files), name)
    files = tuple(file for file in FILES if file in listing.files)
    sources = ()
    if INFO in files:  # a third-party timm classifier has none
        with hub_errors(f"{INFO} of {name} was not fetched"):
            info = hf_hub_download(parts["repository"], INFO, revision=listing.commit)
        sources = trained_on(Path(info).parent)
    return Pinned(parts["repository"], listing.commit, files, listing.private, sources)


def trained_on(folder: Path) -> tuple[str, ...]:
    """Return the training sources that a model folder notes; errors of `read_model_info`."""
    return tuple(read_model_info(folder).training.get("sources", ()))


def space_files(root: Path, space: str, model: Pinned, hardware: str) -> Files:
    """Return the files of the Space by name: those of `CONTENT`, and its card.

    Files that git does not track are left out. Without git, hidden files and caches are left out.

    Args:
        root: a checkout of this repository.
        space: owner/name of the Space.
        model: the model to answer with.
        hardware: the hardware that the Space suggests, such as "cpu-basic" or "zero-a10g".
    Raises:
        ConfigError: `root` is not a checkout.
    """
    if not all((root / name).is_file() for name in NEEDED):
        raise ConfigError(
            f"{root} is not a checkout of BrainAI: expected {' and '.join(NEEDED)} in it. "
            "Run the command from a checkout."
        )
    paths = [path for pattern in CONTENT for path in root.glob(pattern) if path.is_file()]
    names = {path.relative_to(root).as_posix() for path in paths}
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
    """Return README.md of the Space: the front matter of this repository's README, filled in.

    The format: https://huggingface.co/docs/hub/spaces-config-reference
    """
    data = SpaceCard.load(root / "README.md").data
    data["models"] = [model.repository]
    data["suggested_hardware"] = hardware
    if not model.private:  # the build of a Space has no secret to fetch private weights with
        data["preload_from_hub"] = [f"{model.repository} {','.join(model.files)} {model.commit}"]
    card = SpaceCard.from_template(
        data,
        template_path=str(TEXT),
        model=model,
        space=space,
        disclaimer=DISCLAIMER,
        terms=license(root, model),
        version=__version__,
    )
    return f"{card}\n"


def license(root: Path, model: Pinned) -> str:
    """Return the notice on the license of the model's data, or of that of the fallback weights."""
    if "lgg" in model.sources:
        return NON_COMMERCIAL
    if "lgg" in trained_on(root / "weights"):
        return f"{NON_COMMERCIAL} This applies to the fallback weights in `weights/`."
    return ""


def plan(
    target: Target, files: Files, operations: list[Operation], model: Pinned, new: bool
) -> str:
    """Return what the command would do, for people to read."""
    state = "new" if new else "exists"
    added = [operation for operation in operations if isinstance(operation, CommitOperationAdd)]
    front_matter = bytes(files["README.md"]).decode().split("---")[1].strip()
    lines = [
        f"Space     {target.url} ({state}; {'public' if target.public else 'private'} if new)",
        f"variable  {VARIABLE}={model.id}",
        *(["secret    HF_TOKEN: set it yourself, the model is private"] if model.private else []),
        f"files     {len(files)}, of which {len(files) - len(added)} are up to date",
        *(f"  + {file.path_in_repo} ({file.upload_info.size:,} bytes)" for file in added),
        *(f"  - {file.path_in_repo}" for file in operations if file not in added),
        "README.md",
        indent(front_matter, "  "),
    ]
    return "\n".join(lines)


def write_files(files: Files, out: Path) -> None:
    """Write the files of a Space into a new folder.

    Raises:
        ConfigError: the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: expected a new or empty folder. Choose another one.")
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())


def set_variable(space: str, value: str) -> None:
    """Set the variable that names the weights, if it differs: setting it restarts the Space."""
    with hub_errors(f"{VARIABLE} of {space} was not set"):
        current = HfApi().get_space_variables(space).get(VARIABLE)
        if current is None or current.value != value:
            HfApi().add_space_variable(space, VARIABLE, value)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return 0, or 2 after printing an error."""
    return run_command(Space, run, arguments, "python -m brainai.hub.space")


def run(chosen: Space, _: Sequence[str]) -> None:
    """Create or update the Space, or write its files, and print what was done."""
    target = Target(chosen.space, "space", chosen.public)
    model = pin(chosen.model)
    files = space_files(ROOT, target.repository, model, chosen.hardware)
    if chosen.out is not None:
        write_files(files, chosen.out)
        print(f"{len(files)} files in {chosen.out}; start the app with {VARIABLE}={model.id}")
        return
    listing = look_up(target)
    if chosen.dry_run:
        print(plan(target, files, changes(files, listing, OWNED), model, listing is None))
        return
    commit = push(
        target,
        files,
        listing,
        owned=OWNED,
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
