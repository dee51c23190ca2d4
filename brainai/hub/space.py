"""Create or update the Space with one command, with only the files that it needs.

    python -m brainai.hub.space owner/space --model owner/name@revision

`--dry-run` only prints what would be done. `--out FOLDER` writes the files into a folder instead.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from huggingface_hub import CommitOperationAdd, HfApi, SpaceCard, hf_hub_download

from brainai import DISCLAIMER, __version__
from brainai.command_line import run_command
from brainai.errors import ConfigError
from brainai.hub.options import Space
from brainai.hub.terms import NON_COMMERCIAL
from brainai.hub.upload import Target, changes, look_up, push
from brainai.model.fetch import HUB_ID, Listing, list_model
from brainai.model.folder import FILES, INFO, read_model_info
from brainai.model.hub_errors import hub_errors

ROOT = Path(__file__).parents[2]
TEXT = Path(__file__).with_name("space_card.md")
VARIABLE = "BRAINAI_WEIGHTS"
NEEDED = ("app.py", "requirements.txt")
CONTENT = (*NEEDED, "LICENSE", "brainai/**/*", "examples/*", *(f"weights/{name}" for name in FILES))


def pin(name: str) -> Listing:
    """Return what `owner/name@revision` stands for now.

    Raises:
        ConfigError: `name` is not of that form.
        WeightsError: the repository holds no model.
        HubError: there is no such repository or revision, or the Hub cannot be reached.
    """
    parts = HUB_ID.fullmatch(name)
    if parts is None:
        raise ConfigError(f"--model: expected owner/name@revision on the Hub, found {name!r}.")
    with hub_errors(f"{name} was not looked up"):
        return list_model(parts["repository"], parts["revision"])


def terms_of(model: Listing, root: Path) -> str:
    """Return the notice on the license of the data of the model, or of the fallback weights.

    Raises:
        WeightsError: one of the two is damaged.
        HubError: the Hub cannot be reached.
    """
    if INFO in model.files:  # a third-party timm classifier has none
        with hub_errors(f"{INFO} of {model.id} was not fetched"):
            info = hf_hub_download(model.repository, INFO, revision=model.commit)
        if learned_from_lgg(Path(info).parent):
            return NON_COMMERCIAL
    if learned_from_lgg(root / "weights"):
        return f"{NON_COMMERCIAL} This applies to the fallback weights in `weights/`."
    return ""


def learned_from_lgg(folder: Path) -> bool:
    """Return whether a model folder notes LGG as a training source; see `read_model_info`."""
    return "lgg" in read_model_info(folder).training.get("sources", ())


def space_files(root: Path, space: str, model: Listing, hardware: str) -> dict[str, bytes]:
    """Return the files of the Space by name: those of `CONTENT` in a checkout, and its card.

    Files that git does not track are left out. Without git, or if git does not track the checkout,
    hidden files and caches are left out.

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
    tracked = tracked_files(root)
    if tracked.issuperset(NEEDED):
        names &= tracked
    else:
        names = {name for name in names if "/." not in name and "__pycache__" not in name}
    files = {name: (root / name).read_bytes() for name in sorted(names)}
    return files | {"README.md": space_card(root, space, model, hardware).encode()}


def tracked_files(root: Path) -> set[str]:
    """Return the names of the files in a folder that git tracks; none without git."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        names = subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return set()
    return set(names.split("\0"))


def space_card(root: Path, space: str, model: Listing, hardware: str) -> str:
    """Return README.md of the Space: the front matter of this repository's README, filled in.

    The format: https://huggingface.co/docs/hub/spaces-config-reference
    """
    card = SpaceCard.from_template(
        SpaceCard.load(root / "README.md").data,
        template_path=str(TEXT),
        model=model,
        needed=[name for name in FILES if name in model.files],
        hardware=hardware,
        space=space,
        disclaimer=DISCLAIMER,
        terms=terms_of(model, root),
        version=__version__,
    )
    return f"{card}\n"


def plan(target: Target, files: dict[str, bytes], listing: Listing | None, model: Listing) -> str:
    """Return what the command would do, for people to read."""
    operations = changes(target, files, listing)
    added = [operation for operation in operations if isinstance(operation, CommitOperationAdd)]
    state = "new" if listing is None else "exists"
    front_matter = files["README.md"].decode().split("---")[1].strip()
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


def write_files(files: dict[str, bytes], out: Path) -> None:
    """Write the files of a Space into a new folder.

    Raises:
        ConfigError: the folder is not empty.
    """
    if out.is_file() or any(out.glob("*")):
        raise ConfigError(f"--out {out}: expected a new or empty folder. Choose another one.")
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)


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
    with hub_errors(f"{target.url} was not changed"):
        listing, _tags = look_up(target)
        if chosen.dry_run:
            print(plan(target, files, listing, model))
            return
        commit = push(
            target,
            files,
            listing,
            message=f"Answer with {model.repository} at {model.commit[:12]}",
            space_sdk="gradio",
            space_variables=[{"key": VARIABLE, "value": model.id}],
        )
    with hub_errors(f"{target.url} has the commit {commit}, but not the variable {VARIABLE}"):
        variable = HfApi().get_space_variables(target.repository).get(VARIABLE)
        if variable is None or variable.value != model.id:  # setting it restarts the Space
            HfApi().add_space_variable(target.repository, VARIABLE, model.id)
    print(f"{target.url}: commit {commit}, {VARIABLE}={model.id}")
    if model.private:
        print("The model is private: set the secret HF_TOKEN in the settings of the Space.")


if __name__ == "__main__":
    sys.exit(main())
