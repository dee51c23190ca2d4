"""The data sets that the recipe knows: what they are, whose, and on which terms they are given."""

SOURCES = {
    "lgg": "LGG MRI Segmentation (TCGA-LGG; Buda et al. 2019, "
    "https://doi.org/10.1016/j.compbiomed.2019.05.002): offered on Kaggle under CC BY-NC-SA 4.0; "
    "its scans are from The Cancer Imaging Archive, whose data usage policy holds",
    "brats": "BraTS (Menze et al. 2015, https://doi.org/10.1109/TMI.2014.2377694; Bakas et al. "
    "2017, https://doi.org/10.1038/sdata.2017.117; Baid et al. 2021, "
    "https://arxiv.org/abs/2107.02314): given to who registers, for research, these papers to be "
    "cited; each release has terms of its own",
    "tumor-free": "FLAIR scans of people without a tumor; the terms of the set hold",
    "pairs": "FLAIR slices with masks; the terms of the set hold",
    "phantom": "simulated studies (`python -m brainai.phantom`): no terms but this license",
    "folders": "folders of pictures, one per class",
}
HUB_DATASETS = {"lgg": "lgg-mri-segmentation", "brats": "brats"}
GLIOMA = {"lgg", "brats", "pairs", "phantom"}  # nobody real in them is without a tumor
NON_COMMERCIAL = (
    "The weights are given under Apache-2.0, while one of their sources, LGG MRI Segmentation, "
    "offers its images under CC BY-NC-SA 4.0 as far as we know: whether that binds those who use "
    "the weights is for you to decide."
)
NO_HEALTHY_PERSON = (
    "Every real patient had a glioma: “no tumor” means a tumor-free slice of such a patient, "
    "not a healthy brain."
)
