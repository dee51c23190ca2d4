"""Publish a dataset folder on the Hub, if its data may be shared.

A data set has thousands of files. The Hub's client splits them into commits as it sees fit, and
does not send again the files that an interrupted upload already sent.
"""

from pathlib import Path

from huggingface_hub import DatasetCard, DatasetCardData, HfApi
from yaml import YAMLError

from brainai import DISCLAIMER
from brainai.data.dataset import SPLITS, SliceRecord, read_dataset_info, read_records
from brainai.errors import ConfigError
from brainai.hub import terms
from brainai.hub.upload import Target, look_up, push
from brainai.model.hub_errors import hub_errors

CARD = "README.md"
SENT = ["metadata.csv", "dataset.json", "images/*", "masks/*"]  # "*" also matches subfolders
SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (10**6, "100K<n<1M"))
TEXT = Path(__file__).with_name("dataset_card.md")


def publish_dataset(folder: Path, target: Target, license: str | None) -> str:
    """Push a dataset folder with its card, and return one line that names the URL and the commit.

    The card is README.md of the folder. If there is none, a card is written for this repository.

    Args:
        folder: the dataset folder.
        target: the repository to push to.
        license: identifier of the license on the Hub, such as "cc-by-4.0".
    Raises:
        ConfigError: the license is missing, or differs from that of the folder's card.
        DataError: the folder holds no data set.
        HubError: the Hub did not receive all files.
    """
    records, info = read_records(folder), read_dataset_info(folder)
    if not license:
        raise ConfigError(
            "--license is missing: name the license under which the scans may be shared, such as "
            "cc-by-4.0. If you may not share them, do not publish them, not even privately."
        )
    card = (
        own_card(folder, license)
        or dataset_card(target.repository, records, info["content_hash"], license).encode()
    )
    with hub_errors(
        f"{target.url} did not receive all of {folder}; run the same command again to continue"
    ):
        push(target, {CARD: card}, look_up(target)[0], message="Card")
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
    """Return README.md of a folder, or None if there is none.

    Raises:
        ConfigError: the front matter cannot be read, or names another license.
    """
    path = folder / CARD
    if not path.is_file():
        return None
    try:
        named = DatasetCard.load(path).data.license
    except (ValueError, YAMLError) as error:
        raise ConfigError(
            f"{path}: expected a card whose front matter names the license. Correct or delete it."
        ) from error
    if named != license:
        raise ConfigError(
            f"{path} names the license {named}, but --license is {license}: change one of them, or "
            "delete the file."
        )
    return path.read_bytes()


def dataset_card(name: str, records: list[SliceRecord], content_hash: str, license: str) -> str:
    """Return the text of README.md for a data set.

    The format: https://github.com/huggingface/hub-docs/blob/main/datasetcard.md
    """
    size = next((words for most, words in SIZES if len(records) < most), "n>1M")
    data = DatasetCardData(
        license=license, pretty_name=name.rpartition("/")[2], size_categories=[size]
    )
    by_split = {split: [one for one in records if one.split == split] for split in SPLITS}
    card = DatasetCard.from_template(
        data,
        template_path=str(TEXT),
        name=name,
        disclaimer=DISCLAIMER,
        splits=[
            (split, len({one.patient_id for one in of}), len(of), sum(one.label for one in of))
            for split, of in by_split.items()
        ],
        content_hash=content_hash,
        source_names=sorted({one.source for one in records}),
        terms=terms,
    )
    return f"{card}\n"
