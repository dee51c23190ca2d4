"""Cases for the readers and for whole answers, made from a source of random numbers."""

import functools
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.fuzz import metaimage, nifti, odd_dicom, odd_pictures, zips
from tests.fuzz.mutate import mutate, mutate_as
from tests.fuzz.picture_seeds import pictures

Files = dict[str, bytes]
PICTURES = ("png", "jpeg", "jpeg2000", "tiff", "webp", "bmp", "gif", "ppm")
PICTURE_SHARES = (22, 14, 10, 28, 8, 6, 6, 6)  # of 100: most for the formats with most to parse
SCANS = ("nifti", "metaimage", "dicom", "zip")
SCAN_SHARES = (28, 26, 28, 18)
ROLES = ("flair", "t1c", "t2")


@dataclass(frozen=True)
class Case:
    """Files for a reader.

    Attributes:
        kind: "png", "nifti", …; for whole answers "slice" or "scan".
        files: contents by name; names may lie in a folder.
        entries: what is opened, by sequence: a file, or a folder of files.
    """

    kind: str
    files: Files
    entries: dict[str, str]

    @property
    def digest(self) -> str:
        """Eight bytes that identify a case, as hexadecimal digits."""
        found = hashlib.blake2b(digest_size=8)
        for name, content in sorted(self.files.items()):
            found.update(name.encode() + b"\0" + content + b"\0")
        return found.hexdigest()


@functools.cache
def _picture_seeds(kind: str) -> tuple[bytes, ...]:
    extra = odd_pictures.tiff_seeds() if kind == "tiff" else ()
    return (*pictures()[kind], *extra)


def picture_case(rng: Random) -> Case:
    """One picture: built from odd parts, or a changed seed."""
    kind = rng.choices(PICTURES, PICTURE_SHARES)[0]
    builder = {"png": odd_pictures.odd_png, "tiff": odd_pictures.odd_tiff}.get(kind)
    if builder is not None and rng.random() < 0.5:
        content = builder(rng)
        if rng.random() < 0.1:
            content = mutate(content, rng)
    else:
        content = changed_picture(kind, rng)
    return Case(kind, {"picture": content}, {"flair": "picture"})


def changed_picture(kind: str, rng: Random) -> bytes:
    """A seed of this kind after some changes, perhaps with a piece of another picture."""
    seeds = _picture_seeds(kind)
    other = rng.choice(_picture_seeds(rng.choice(PICTURES)))
    return mutate_as(kind, rng.choice(seeds), rng, other)


def scan_case(rng: Random) -> Case:
    """One scan: built from odd parts, or a changed seed."""
    kind = rng.choices(SCANS, SCAN_SHARES)[0]
    makers: dict[str, Callable[[Random], tuple[Files, str]]] = {
        "nifti": _nifti, "metaimage": _metaimage, "dicom": _dicom, "zip": _zip,
    }  # fmt: skip
    files, entry = makers[kind](rng)
    return Case(kind, files, {"flair": entry})


def _nifti(rng: Random) -> tuple[Files, str]:
    content = rng.choice(nifti.seeds())
    if rng.random() < 0.5:
        content = nifti.odd_nifti(rng)
    elif rng.random() < 0.9:
        content = mutate_as("nifti", content, rng)
    suffix = ".nii.gz" if content[:2] == b"\x1f\x8b" else ".nii"
    if rng.random() < 0.03:
        suffix = rng.choice((".nii", ".nii.gz", ".mha", ".zip", ".dcm"))
    return {f"scan{suffix}": content}, f"scan{suffix}"


def _metaimage(rng: Random) -> tuple[Files, str]:
    if rng.random() < 0.6:
        files = dict(metaimage.odd_metaimage(rng))
    else:
        files = dict(rng.choice(metaimage.seeds()))
        name = rng.choice(tuple(files)) if rng.random() < 0.3 else next(iter(files))
        files[name] = mutate_as("metaimage", files[name], rng)
    return files, next(iter(files))


def _dicom(rng: Random) -> tuple[Files, str]:
    if rng.random() < 0.6:
        files = odd_dicom.odd_series(rng)
    else:
        files = dict(rng.choice(odd_dicom.seeds()))
        names = list(files) if rng.random() < 0.3 else [rng.choice(list(files))]
        seed = rng.getrandbits(32)
        for name in names:  # the same change in each, so that the series stays one
            files[name] = mutate_as("dicom", files[name], Random(seed))
    if rng.random() < 0.05:
        name = rng.choice(list(files))
        return {"one.dcm": files[name]}, "one.dcm"
    return files, "series"


def _zip(rng: Random) -> tuple[Files, str]:
    content = rng.choice(zips.seeds())
    if rng.random() < 0.6:
        content = zips.odd_zip(rng)
    elif rng.random() < 0.9:
        content = mutate_as("zip", content, rng, rng.choice(zips.seeds()))
    return {"scan.zip": content}, "scan.zip"


def heavy_case(number: int, rng: Random) -> Case:
    """Scans that are large, deep, or unpack to much more than they are."""
    series = {"flair": "series"}
    size = rng.randrange(1, 12)
    makers: tuple[Callable[[], Case], ...] = (
        lambda: Case("nifti", {"scan.nii.gz": nifti.bomb(60 * size)}, {"flair": "scan.nii.gz"}),
        lambda: Case("metaimage", metaimage.bomb(100 * size), {"flair": "scan.mha"}),
        lambda: Case("dicom", odd_dicom.deflate_bomb(60 * size), series),
        lambda: Case("dicom", odd_dicom.deep_series(2000 * size), series),
        lambda: Case("dicom", odd_dicom.deep_series(2000 * size, True), series),
        lambda: Case("dicom", odd_dicom.long_series(4900 + 10 * size), series),
        lambda: Case("zip", {"scan.zip": zips.bomb(90 * size)}, {"flair": "scan.zip"}),
        lambda: Case("zip", {"scan.zip": zips.bomb(250, size)}, {"flair": "scan.zip"}),
        lambda: Case("zip", {"scan.zip": zips.many_entries(900 * size)}, {"flair": "scan.zip"}),
        lambda: Case("zip", {"scan.zip": zips.overlapping(90 * size)}, {"flair": "scan.zip"}),
        lambda: Case("zip", _deep_zip(1000 * size), {"flair": "scan.zip"}),
    )
    return makers[number % len(makers)]()


def _deep_zip(depth: int) -> Files:
    return {"scan.zip": zips.zip_bytes(odd_dicom.deep_series(depth).items())}


def answer_case(rng: Random) -> Case:
    """One to three sequences of a slice or of a scan, most of them whole, for a whole answer."""
    is_scan = rng.random() < 0.4
    files: Files = {}
    entries: dict[str, str] = {}
    for role in ROLES[: rng.choice((1, 1, 1, 2, 3))]:
        found, entry = _whole(is_scan, rng) if rng.random() < 0.5 else _odd(is_scan, rng)
        files |= {f"{role}/{name}": content for name, content in found.items()}
        entries[role] = f"{role}/{entry}"
    if rng.random() < 0.02:
        del entries["flair"]
    return Case("scan" if is_scan else "slice", files, entries)


def _odd(is_scan: bool, rng: Random) -> tuple[Files, str]:
    found = scan_case(rng) if is_scan else picture_case(rng)
    return found.files, found.entries["flair"]


def _whole(is_scan: bool, rng: Random) -> tuple[Files, str]:
    """A seed, in which a few bytes of the pixels at the end may have changed."""
    if not is_scan:
        content = bytearray(rng.choice(_picture_seeds(rng.choice(("png", "tiff", "bmp", "ppm")))))
        name = "picture"
    elif rng.random() < 0.2:
        return dict(rng.choice(odd_dicom.seeds())), "series"
    else:
        content, name = bytearray(nifti.seeds()[rng.randrange(12)]), "scan.nii"
    for _ in range(rng.choice((0, 1, 8))):
        content[rng.randrange(len(content) // 2, len(content))] = rng.randrange(256)
    return {name: bytes(content)}, name
