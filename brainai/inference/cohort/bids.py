"""The output as a BIDS derivative, https://bids-specification.readthedocs.io.

dataset_description.json, README.md, .bidsignore
sub-01/ses-1/anat/sub-01_ses-1_desc-tumor_mask.nii.gz    the mask, on the voxels of FLAIR
sub-01/ses-1/anat/sub-01_ses-1_desc-tumor_mask.json      its description, and the answer
"""

import json
import os
from pathlib import Path
from typing import Any

from brainai import DISCLAIMER, __version__
from brainai.data.files import write_text
from brainai.inference.cohort.find import Cohort, Scan
from brainai.model.folder import ModelInfo

BIDS_VERSION = "1.10.0"
IGNORED = (".cohort/", "thumbnails", "index.html", "results.*", "slices.*")  # not part of BIDS
README = """# Tumor in FLAIR scans, judged by BrainAI

{disclaimer}

Masks show where the network sees tumor. They are estimates of extent, and are written whatever the
verdict is. `results.csv` has a row for each scan and `slices.csv` a row for each slice;
`index.html` shows them.

BrainAI {version}, model {model}, revision {revision}.
"""


def write_description(out: Path, cohort: Cohort, info: ModelInfo) -> None:
    """Write dataset_description.json, README.md and .bidsignore."""
    description: dict[str, Any] = {
        "Name": "Tumor in FLAIR scans",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [
            {
                "Name": "BrainAI",
                "Version": __version__,
                "Description": f"Model {info.name}, revision {info.revision}. {DISCLAIMER}",
            }
        ],
    }
    if cohort.bids:
        description["DatasetLinks"] = {"raw": Path(os.path.relpath(cohort.root, out)).as_posix()}
    write_text(out / "dataset_description.json", json.dumps(description, indent=2) + "\n")
    write_text(out / ".bidsignore", "\n".join(IGNORED) + "\n")
    words = {"disclaimer": DISCLAIMER, "version": __version__}
    words |= {"model": info.name, "revision": info.revision}
    write_text(out / "README.md", README.format(**words))


def mask_path(scan: Scan) -> Path:
    """Return the path of a scan's mask in the output folder.

    >>> from brainai.inference.cohort.find import Scan
    >>> mask_path(Scan("sub-01_ses-1", ())).as_posix()
    'sub-01/ses-1/anat/sub-01_ses-1_desc-tumor_mask.nii.gz'
    """
    entities = scan.name.split("_")
    folders = [e for e in entities if e.startswith(("sub-", "ses-"))]
    return Path(*folders, "anat", f"{scan.name}_desc-tumor_mask.nii.gz")


def sidecar(scan: Scan, bids: bool, form: dict[str, Any]) -> str:
    """Return the JSON sidecar of a mask.

    Args:
        bids: whether the scans come from a BIDS data set.
        form: the answer, from `forms.scan_form`; its slices are left out, because the table has
            them.
    """
    described: dict[str, Any] = {
        "Type": "Lesion",
        "Description": "Where BrainAI sees tumor, an estimate of extent.",
        "Manual": False,
    }
    if bids:
        described["Sources"] = [f"bids:raw:{path}" for _, path in scan.files]
        described["SpatialReference"] = described["Sources"][0]
    answer = {key: value for key, value in form.items() if key not in ("slices", "mask")}
    return json.dumps(described | {"BrainAI": answer}, indent=2) + "\n"
