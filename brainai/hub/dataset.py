"""A dataset folder to the Hub, for those whose data may be shared.

Thousands of files: they go in as many commits as the client finds good, and what a broken upload
brought there is not sent again.
"""

from collections import Counter
from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData, HfApi
from yaml import YAMLError

from brainai import DISCLAIMER
from brainai.data.dataset import SPLITS, SliceRecord, read_dataset_info, read_records
from brainai.errors import ConfigError
from brainai.hub.terms import SOURCES
from brainai.hub.upload import Target, check_right, push
from brainai.model.hub_errors import hub_errors

CARD = "README.md"
SENT = ["metadata.csv", "dataset.json", "images/*", "masks/*"]  # a * takes folders, too
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
FILES = [{"split": "train", "path": ["metadata.csv", "images/**", "masks/**"]}]
ALL_SLICES = [{"config_name": "default", "data_files": FILES}]
# else names of folders such as test_01 would be taken for splits
TEXT = Path(__file__).with_name("dataset_card.md")


def publish_dataset(folder: Path, target: Target, license: str | None) -> str:
    """Push a dataset folder with its card; in a line, what is now where.

    The card is README.md of the folder, or written for this repository where there is none.

    Args:
        license: as the Hub names it, such as cc-by-4.0.
    Raises:
        ConfigError: no license, or another than that of the card that is there.
        DataError: no dataset folder. HubError: it was not pushed whole.
    """
    records, info = read_records(folder), read_dataset_info(folder)
    if not license:
        raise ConfigError(
            "--license is missing: name the terms that the scans may be shared on, such as "
            "cc-by-4.0. Where you may not share them, do not publish them, not even privately."
        )
    card = (
        own_card(folder, license)
        or dataset_card(target.repository, records, info["content_hash"], license).encode()
    )
    check_right(target)
    push(target, {CARD: card}, owns=lambda name: False, message="Card")
    with hub_errors(f"{target.url} did not get all of {folder}; the same command goes on with it"):
        done = HfApi().upload_folder(
            repo_id=target.repository,
            repo_type="dataset",
            folder_path=folder,
            allow_patterns=SENT,
            delete_patterns=SENT,
            commit_message=f"Data set {info['content_hash'][:12]}",
        )
    return f"{target.url}: commit {done.oid}"


def own_card(folder: Path, license: str) -> bytes | None:
    """README.md of a folder, where somebody wrote one.

    Raises:
        ConfigError: its front matter cannot be read, or names another license.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        there = DatasetCard.load(path).data.license
    except (ValueError, YAMLError) as error:
        raise ConfigError(
            f"{path}: expected a card whose front matter names the license. Mend or delete it."
        ) from error
    if there != license:
        raise ConfigError(
            f"{path} names the license {there}, --license {license}: change one, or delete it."
        )
    return path.read_bytes()


def dataset_card(name: str, records: list[SliceRecord], content_hash: str, license: str) -> str:
    """The text of README.md.

    Its form: https://github.com/huggingface/hub-docs/blob/main/datasetcard.md
    """
    size = next((words for most, words in SIZES if len(records) < most), "n>1M")
    data = DatasetCardData(
        license=license,
        pretty_name=name.rpartition("/")[2],
        task_categories=["image-classification", "image-segmentation"],
        size_categories=[size],
        tags=["medical", "mri", "brain", "tumor"],
        configs=ALL_SLICES,
    )
    slices = Counter(record.split for record in records)
    tumor = Counter(record.split for record in records if record.label)
    patients = Counter(split for split, _ in {(one.split, one.patient_id) for one in records})
    rows = [f"| {s} | {patients[s]:,} | {slices[s]:,} | {tumor[s]:,} |" for s in SPLITS]
    sources = sorted({record.source for record in records})
    text = TEXT.read_text(encoding="utf-8").format(
        name=name,
        disclaimer=DISCLAIMER,
        rows="\n".join(rows),
        content_hash=content_hash[:16],
        sources="\n".join(f"- {SOURCES.get(source, source)}" for source in sources),
    )
    return f"---\n{data.to_yaml()}\n---\n\n{text}"
