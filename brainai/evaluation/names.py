"""Names that reports and pages share. They are apart, so that a page imports no scikit-learn."""

LEVEL = 95  # percent, of every interval
FIGURE_NAMES = {
    "dice": "Dice of slices (F1)",
    "auroc": "AUROC of slices",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "mask_dice": "Dice of masks, mean of patients",
    "ece": "Calibration error (ECE)",
    "brier": "Brier score",
    "loss": "Cross-entropy",
}
