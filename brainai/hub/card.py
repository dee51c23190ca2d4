"""The model card: README.md of a model folder, its figures taken from report.json."""

from brainai import DISCLAIMER
from brainai.evaluation.intervals import LEVEL
from brainai.evaluation.sections import (
    calibration_section,
    operating_point,
    phantom_section,
    point_section,
    scope_section,
    size_section,
)
from brainai.model.folder import ModelInfo

SHOWN = {
    "dice": "Dice of slices (F1 of “Tumor”)",
    "auroc": "AUROC of slices",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Dice of masks, mean over patients",
    "ece": "Calibration error (ECE)",
}
SECTIONS = (point_section, calibration_section, scope_section, phantom_section, size_section)

SOURCES = {
    "lgg": "LGG MRI Segmentation (TCGA-LGG; Buda et al. 2019, "
    "https://doi.org/10.1016/j.compbiomed.2019.05.002)",
    "brats": "BraTS (Menze et al. 2015, https://doi.org/10.1109/TMI.2014.2377694; Bakas et al. "
    "2017, https://doi.org/10.1038/sdata.2017.117; Baid et al. 2021, "
    "https://arxiv.org/abs/2107.02314)",
    "phantom": "simulated studies (`python -m brainai.data.phantom`)",
    "folders": "folders of pictures, one per class",
}
GLIOMA = {"lgg", "brats", "phantom"}
NO_HEALTHY_PERSON = (
    "Every real patient had a glioma: “no tumor” means a tumour-free slice of such a patient, "
    "not a healthy brain."
)

FRONT_MATTER = """---
library_name: timm
pipeline_tag: image-classification
license: apache-2.0
tags:
- medical
- mri
- brain
- tumor
- timm
---

"""
CARD = """# {name}

Says whether an axial FLAIR slice of a brain MRI shows tumour, and outlines it.

> **{disclaimer}**

A timm `{architecture}` with two classes and a U-Net decoder beside it, for pictures of
{size} × {size} pixels. Weights {revision}, code {git_revision}, data set {dataset_hash}.

## Use

```python
from brainai import Classifier

prediction = Classifier.load("this folder").predict("slice.png")
```

timm alone gives the same class scores:
`timm.create_model("local-dir:this folder", pretrained=True)`. The probability that this package
gives joins them with the evidence of the mask, by `score_weights` in brainai.json. These, the
temperature and the threshold were fitted on patients of `valid`.

## Training data

{sources}

Split by patient; the images are not part of this folder. {healthy}

## Figures on held-out patients

{figures}

Made by `{command}`; the whole of it stands in report.json.

{sections}

## Limits

Not for diagnosis or treatment. Not tested on children, on other lesions of real people (stroke,
multiple sclerosis, metastases) or on healthy persons, and not on views other than axial. Small
lesions are missed most.
"""


def model_card(info: ModelInfo, report: dict) -> str:
    """The text of README.md.

    Args:
        report: the content of report.json, as `build_report` makes it.
    """
    return FRONT_MATTER + card_body(info, report)


def card_body(info: ModelInfo, report: dict) -> str:
    """The card for people to read, without what the Hub reads; arguments of `model_card`."""
    sources = info.training.get("sources", list(report["source"]))
    return CARD.format(
        name=info.name,
        disclaimer=DISCLAIMER,
        architecture=info.architecture,
        size=info.image_size,
        revision=info.revision,
        git_revision=info.git_revision or "of no commit",
        dataset_hash=info.dataset_hash[:16],
        sources="\n".join(f"- {SOURCES.get(name, name)}" for name in sources),
        healthy=NO_HEALTHY_PERSON if set(sources) <= GLIOMA else "",
        figures=figures(report),
        command=report["about"]["command"],
        sections="\n\n".join(part(report) for part in SECTIONS if part(report)),
    )


def figures(report: dict) -> str:
    """What a slice is called tumour from, and the figures of all slices and of every source as a
    Markdown table."""
    groups = {"all": report["all"], **report["source"]}
    lines = [
        "| data | patients | slices | figure | value | 95 % interval |",
        "|---|---|---|---|---|---|",
    ]
    for group, summary in groups.items():
        for key, title in SHOWN.items():
            figure = summary["figures"][key]
            if figure["value"] is not None:
                interval = (
                    f"{figure['low']:.3f} to {figure['high']:.3f}"
                    if figure["low"] is not None
                    else "–"
                )
                lines.append(
                    f"| {group} | {figure['n_patients']} | {figure['n_slices']:,} | {title} | "
                    f"{figure['value']:.3f} | {interval} |"
                )
    return "\n".join(lines) + (
        f"\n\n{LEVEL} % intervals from resampling patients. A slice is called tumour from "
        f"probability {report['threshold']:.3f} on: {operating_point(report)}."
    )
