"""Hypothesis strategies: headers, trees, chunks and bodies, and the files that they make.

The builders draw from a source of random numbers. Hypothesis gives them one that it controls, so
that it can shrink what fails, and the long form gives them a seeded one: both try the same files.
"""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from tests.fuzz import metaimage, nifti, odd_dicom, odd_pictures, zips
from tests.fuzz.bodies import ENDPOINTS, odd_body, request_case
from tests.fuzz.cases import Case, answer_case, picture_case, scan_case
from tests.fuzz.dicom import Elements, slice_elements

Built = TypeVar("Built")


def built(build: Callable[[Random], Built]) -> st.SearchStrategy[Built]:
    """What a builder makes, under the control of Hypothesis."""
    return st.randoms(use_true_random=False).map(build)


def _elements(rng: Random) -> Elements:
    return odd_dicom.odd_elements(slice_elements(0), rng)


def _chunks(rng: Random) -> list[odd_pictures.Chunk]:
    return odd_pictures.png_chunks(odd_pictures.odd_png(rng))


# Structures
nifti_headers: st.SearchStrategy[nifti.Header] = built(nifti.odd_header)
metaimage_lines: st.SearchStrategy[list[metaimage.Line]] = built(metaimage.odd_lines)
dicom_elements: st.SearchStrategy[Elements] = built(_elements)
tiff_directories: st.SearchStrategy[list[odd_pictures.Entry]] = built(odd_pictures.odd_entries)
png_chunks: st.SearchStrategy[list[odd_pictures.Chunk]] = built(_chunks)
bodies = built(lambda rng: odd_body(rng.choice(ENDPOINTS), rng))

# Files
nifti_files: st.SearchStrategy[bytes] = built(nifti.odd_nifti)
metaimage_files: st.SearchStrategy[metaimage.Files] = built(metaimage.odd_metaimage)
dicom_series: st.SearchStrategy[odd_dicom.Files] = built(odd_dicom.odd_series)
zip_files: st.SearchStrategy[bytes] = built(zips.odd_zip)
png_files: st.SearchStrategy[bytes] = built(odd_pictures.odd_png)
tiff_files: st.SearchStrategy[bytes] = built(odd_pictures.odd_tiff)

# Cases
picture_cases: st.SearchStrategy[Case] = built(picture_case)
scan_cases: st.SearchStrategy[Case] = built(scan_case)
answer_cases: st.SearchStrategy[Case] = built(answer_case)
request_cases: st.SearchStrategy[Case] = built(request_case)
