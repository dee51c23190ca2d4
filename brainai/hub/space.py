"""The Space, made or brought up to date with one command, and only the files that it needs.

    python -m brainai.hub.space owner/space --model owner/name@revision

`--dry-run` prints what would be done; `--out FOLDER` writes the Space's files there instead.
"""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, SpaceCard, hf_hub_download

from brainai import DISCLAIMER, __version__
from brainai.command_line import run_command
from brainai.errors import ConfigError
from brainai.hub.faults import told
from brainai.hub.files import list_files
from brainai.hub.modules import assets_beside, needed_requirements, reached_modules
from brainai.hub.options import Space
from brainai.hub.pull import HUB_ID, check_names
from brainai.hub.terms import NON_COMMERCIAL
from brainai.hub.upload import Changes, Files, Target, compare, look_up, push
from brainai.model.folder import FILES, INFO, read_info

ROOT = Path(__file__).parents[2]
TEXT = Path(__file__).with_name("space_card.md")
VARIABLE = "BRAINAI_WEIGHTS"
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
    with told(f"{name} was not looked up"):
        listing = list_files(found["repository"], revision=found["revision"])
    check_names(set(listing.files), name)
    files = tuple(file for file in FILES if file in listing.files)
    sources = ()
    if INFO in files:  # a timm classifier of others has none
        with told(f"{INFO} of {name} was not fetched"):
            info = hf_hub_download(found["repository"], INFO, revision=listing.commit)
        sources = trained_on(Path(info).parent)
    return Pinned(found["repository"], listing.commit, files, listing.private, sources)


def trained_on(folder: Path) -> tuple[str, ...]:
    """The sources that a model folder notes, none where it notes none; errors of `read_info`."""
    return tuple(read_info(folder).training.get("sources", ()))


def space_files(root: Path, space: str, model: Pinned, hardware: str) -> Files:
    """The files of the Space by name.

    Args:
        root: a checkout of this repository.
        space: owner/name of the Space.
        hardware: what its front matter suggests, such as cpu-basic or zero-a10g.
    Raises:
        ConfigError: it is no checkout.
    """
    app, wanted = root / "app.py", root / "requirements.txt"
    if not (app.is_file() and wanted.is_file()):
        raise ConfigError(
            f"{root} is no checkout of BrainAI: expected app.py and requirements.txt in it. "
            "Run the command from one."
        )
    code = reached_modules(root, app, "brainai") | {app}
    asked = wanted.read_text(encoding="utf-8").splitlines()
    lines = needed_requirements(asked, code, "brainai")
    kept = [root / "LICENSE", *(root / "examples").iterdir(), *assets_beside(code)]
    kept += [root / "weights" / name for name in FILES]
    ours = tracked_files(root)
    files: dict[str, Path | bytes] = {
        path.relative_to(root).as_posix(): path
        for path in {*code, *(path for path in kept if ours is None or path in ours)}
        if path.is_file()
    }
    files["requirements.txt"] = ("\n".join(lines) + "\n").encode()
    files["README.md"] = space_card(root, space, model, hardware).encode()
    return dict(sorted(files.items()))


def tracked_files(root: Path) -> set[Path] | None:
    """What git knows of a checkout, so that a file somebody left in it stays private; None where
    there is no git to ask."""
    command = ["git", "-C", str(root), "ls-files", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return {root / name for name in listed.split("\0") if name}


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
        licence=licence(root, model),
        repository=model.repository,
        commit=model.commit,
        space=space,
        version=__version__,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"


def licence(root: Path, model: Pinned) -> str:
    """Whose terms may bind those who use the weights that answer, or those that stand in."""
    if "lgg" in model.sources:
        return NON_COMMERCIAL
    if "lgg" in trained_on(root / "weights"):
        return f"{NON_COMMERCIAL} This is about the weights in `weights/`, which stand in."
    return ""


def owns(name: str) -> bool:
    """Whether an old file of a Space is one that an earlier command put there."""
    return name.startswith(FOLDERS)


def plan(target: Target, files: Files, changes: Changes, model: Pinned, new: bool) -> str:
    """What would be done, for people."""
    state = "a new one" if new else "there is one"
    sizes = {
        name: len(c) if isinstance(c, bytes) else c.stat().st_size for name, c in files.items()
    }
    lines = [
        f"Space     {target.url} ({state}; {'public' if target.public else 'private'} if new)",
        f"model     {model.id}",
        f"variable  {VARIABLE}={model.id}",
        *(["secret    HF_TOKEN, to be set by you: the model is private"] if model.private else []),
        f"files     {len(files)}, {sum(sizes.values()) / 1e6:.1f} MB",
        *(f"  + {name} ({sizes[name]:,} bytes)" for name in changes.add),
        *(f"  - {name}" for name in changes.delete),
        f"  {len(files) - len(changes.add)} are there already",
        "README.md",
        *(f"  {line}" for line in bytes(files["README.md"]).decode().split("---")[1].split("\n")),
    ]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def write_folder(files: Files, out: Path) -> None:
    """Write the files of a Space into a new folder.

    Raises:
        ConfigError: there is something in it already.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"--out {out}: expected a new or empty folder.")
    for name, content in files.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content if isinstance(content, bytes) else content.read_bytes())


def set_variable(space: str, value: str) -> bool:
    """Name the weights to the Space; False where it has that name already, since setting it would
    start the Space anew."""
    api = HfApi()
    with told(f"{VARIABLE} of {space} was not set"):
        known = api.get_space_variables(space).get(VARIABLE)
        if known is not None and known.value == value:
            return False
        api.add_space_variable(space, VARIABLE, value)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Run the command line: 0, or 2 after one line that says what to correct."""
    return run_command(Space, run, arguments, "python -m brainai.hub.space")


def run(chosen: Space, _: Sequence[str]) -> None:
    """Do what the options say, and print it."""
    target = Target(chosen.space, "space", chosen.public)
    model = pin(chosen.model)
    files = space_files(ROOT, target.repository, model, chosen.hardware)
    if chosen.out is not None:
        write_folder(files, chosen.out)
        print(f"{len(files)} files in {chosen.out}; to be started with {VARIABLE}={model.id}")
        return
    if chosen.dry_run:
        listing = look_up(target)
        print(plan(target, files, compare(files, listing, owns), model, listing is None))
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
