"""The average anatomy of phantoms: tissue maps of MNI152, and fields computed from them.

The maps (Fonov et al. 2011, NeuroImage 54:313; ICBM 152 nonlinear symmetric 2009a) are files of the
package nilearn, so nothing is fetched. Positions are in mm, in LPS axes: x grows to the patient's
left, y to the back, z to the head. The origin is the anterior commissure.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage

from brainai.errors import DataError
from brainai.phantom.fields import Field

COARSE_MM = 2
MARGIN_MM = 32  # room for skull, scalp and face around the grid of the brain


@dataclass(frozen=True)
class Template:
    """The anatomy of the average brain.

    `brain` and `white` have a grid of 1 mm, the other fields one of 2 mm. Distances are in mm,
    positive outside and negative inside.

    brain: part of brain tissue, 0 to 1.
    white: part of white matter, 0 to 1.
    cavity: distance from the inner skull.
    head: distance from a hull of the cavity that does not narrow towards the neck.
    ventricles: distance from the ventricles.
    opening: gradient of the blurred ventricles, per mm; tissue moves against it if they grow.
    """

    brain: Field
    white: Field
    cavity: Field
    head: Field
    ventricles: Field
    opening: tuple[Field, Field, Field]


@cache
def load_template() -> Template:
    """Return the template, which is computed once per process (about 3 s, 120 MB).

    Raises:
        DataError: nilearn is not installed.
    """
    gray, white = _tissue_maps()
    brain = gray.with_values(np.clip(gray.values + white.values, 0, 1))
    coarse = _coarsen(brain)
    inside = _close(coarse.values > 0.4, radius_mm=12.0)
    cavity = coarse.with_values(_distance_outside(inside) - 1.0)
    x, _, z = coarse.coordinates()
    hull = np.maximum.accumulate(inside[:, :, ::-1], axis=2)[:, :, ::-1]
    head = coarse.with_values(_distance_outside(hull))
    hollow = (coarse.values < 0.5) & (cavity.values < -18) & (z > -16) & (np.abs(x) < 40)
    # The space above the vermis and the Sylvian fissures are also deep, but no ventricles.
    hollow &= (z > 2) | (np.abs(x) < 8)
    ventricles = coarse.with_values(_distance_outside(hollow))
    blurred = coarse.with_values(ndimage.gaussian_filter(hollow.astype(np.float32), 4))
    return Template(brain, white, cavity, head, ventricles, gradient_fields(blurred))


def gradient_fields(field: Field) -> tuple[Field, Field, Field]:
    """Return the gradient of a field along x, y and z, per mm, as three fields on its grid."""
    x, y, z = (field.with_values(g / field.step) for g in np.gradient(field.values))
    return x, y, z


def _tissue_maps() -> tuple[Field, Field]:
    """Return the parts of gray and of white matter in MNI152, on a grid of 1 mm in LPS axes.

    Raises:
        DataError: nilearn is not installed.
    """
    try:
        from nilearn import datasets  # noqa: PLC0415 -- an optional package, for phantoms alone
    except ImportError as error:
        raise DataError(
            "Phantoms are made from the brain template of the package nilearn, which is not "
            "installed. Install it: pip install nilearn"
        ) from error
    maps = []
    for image in (datasets.load_mni152_gm_template(), datasets.load_mni152_wm_template()):
        values = np.asarray(image.dataobj, np.float32)[::-1, ::-1]  # RAS → LPS
        far_corner = image.affine @ [values.shape[0] - 1, values.shape[1] - 1, 0, 1]
        origin = np.array([-far_corner[0], -far_corner[1], far_corner[2]])
        maps.append(Field(np.ascontiguousarray(values), origin, 1.0))
    return maps[0], maps[1]


def _coarsen(field: Field) -> Field:
    """Return every second point of the blurred field, with a margin of zeros."""
    values = ndimage.gaussian_filter(field.values, 0.8)[::COARSE_MM, ::COARSE_MM, ::COARSE_MM]
    margin = MARGIN_MM // COARSE_MM
    return Field(np.pad(values, margin), field.origin - MARGIN_MM, float(COARSE_MM))


def _close(inside: np.ndarray, radius_mm: float) -> np.ndarray:
    """Return `inside` after a morphological closing with a ball, with its holes filled."""
    grown = ndimage.distance_transform_edt(~inside) * COARSE_MM <= radius_mm
    shrunk = ndimage.distance_transform_edt(grown) * COARSE_MM > radius_mm
    return ndimage.binary_fill_holes(shrunk | inside)


def _distance_outside(inside: np.ndarray) -> np.ndarray:
    """Return the slightly blurred distance from a border, mm, negative inside."""
    outside = ndimage.distance_transform_edt(~inside) - ndimage.distance_transform_edt(inside)
    return ndimage.gaussian_filter(outside.astype(np.float32) * COARSE_MM, 1.0)
