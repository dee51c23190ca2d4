"""Hypothesis strategies for the structures of files and requests.

The builders draw from a source of random numbers. Hypothesis gives them one that it controls, so
that it can shrink what fails, and the long form gives them a seeded one: both try the same files.
"""

from collections.abc import Callable
from random import Random
from typing import TypeVar

from hypothesis import strategies as st

from tests.fuzz import metaimage, nifti, odd_dicom, odd_pictures, zips
from tests.fuzz.bodies import request_case
from tests.fuzz.cases import Case
from tests.fuzz.dicom import Elements, slice_elements

Built = TypeVar("Built")


def built(build: Callable[[Random], Built]) -> st.SearchStrategy[Built]:
    """What a builder makes, under the control of Hypothesis."""
    return st.randoms(use_true_random=False).map(build)


def _elements(rng: Random) -> Elements:
    return odd_dicom.odd_elements(slice_elements(0), rng)


def _chunks(rng: Random) -> list[odd_pictures.Chunk]:
    return odd_pictures.png_chunks(odd_pictures.odd_png(rng))


nifti_headers: st.SearchStrategy[nifti.Header] = built(nifti.odd_header)
metaimage_lines: st.SearchStrategy[list[metaimage.Line]] = built(metaimage.odd_lines)
dicom_elements: st.SearchStrategy[Elements] = built(_elements)
tiff_directories: st.SearchStrategy[list[odd_pictures.Entry]] = built(odd_pictures.odd_entries)
png_chunks: st.SearchStrategy[list[odd_pictures.Chunk]] = built(_chunks)
zip_files: st.SearchStrategy[bytes] = built(zips.odd_zip)
requests: st.SearchStrategy[Case] = built(request_case)
