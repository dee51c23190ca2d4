"""The data sets that the recipe supports: their authors and their terms."""

SOURCES = {
    "lgg": "LGG MRI Segmentation (TCGA-LGG; Buda et al. 2019, "
    "https://doi.org/10.1016/j.compbiomed.2019.05.002): offered on Kaggle under CC BY-NC-SA 4.0; "
    "its scans are from The Cancer Imaging Archive, whose data usage policy applies",
    "brats": "BraTS (Menze et al. 2015, https://doi.org/10.1109/TMI.2014.2377694; Bakas et al. "
    "2017, https://doi.org/10.1038/sdata.2017.117; Baid et al. 2021, "
    "https://arxiv.org/abs/2107.02314): given to registered users for research, who must cite "
    "these papers; each release has its own terms",
    "tumor-free": "FLAIR scans and pictures of people without a tumor; the terms of the data set "
    "apply",
    "pairs": "FLAIR slices with masks; the terms of the data set apply",
    "phantom": "simulated studies (`python -m brainai.phantom`): no terms but this license",
    "folders": "folders of pictures, one for each class",
}
HUB_DATASETS = {"brats": "brats", "lgg": "lgg-mri-segmentation"}
GLIOMA = {"lgg", "brats", "pairs", "phantom"}  # every real person in them has a tumor
NON_COMMERCIAL = (
    "The weights are licensed under Apache-2.0. As far as we know, one of their sources, LGG MRI "
    "Segmentation, offers its images under CC BY-NC-SA 4.0. Whether that license also binds users "
    "of the weights is for you to decide."
)
NO_HEALTHY_PERSON = (
    "Every real patient had a glioma: “No Tumor” means a tumor-free slice of such a patient, "
    "not a healthy brain."
)
