"""Kinds of still pictures: readable ones, and errors for the others."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from cleanplate.errors import InputError
from cleanplate.media.stills import tiff
from cleanplate.system.memory import available_memory
from cleanplate.system.plugins import find_plugins

HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
"""Pictures that need the extra ``heif``."""

STUDIO_SUFFIXES = frozenset({".jxl", ".cin", ".psd", ".psb"})
"""Pictures that need the extra ``vfx``."""

IMAGE_SUFFIXES = (
    HEIF_SUFFIXES
    | STUDIO_SUFFIXES
    | {
        *(".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".exr", ".dpx"),
        *(".avif", ".jp2", ".j2k", ".jpx", ".mpo"),
    }
)
"""Files that are one picture, by their names."""

RAW_SUFFIXES = frozenset(
    {".3fr", ".arw", ".cr2", ".cr3", ".crw", ".dng", ".erf", ".fff", ".iiq", ".kdc", ".mef", ".mos", ".mrw"}
    | {".nef", ".nrw", ".orf", ".pef", ".raf", ".rw2", ".rwl", ".sr2", ".srf", ".srw", ".x3f"}
)

PREVIEW_SUFFIXES = HEIF_SUFFIXES | {".jpg", ".jpeg"}
"""Pictures that cameras write beside a RAW file."""

_UNREAD_SUFFIXES = frozenset({".svg", ".tga", ".ico"})

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "GIF", "AVIF", "JPEG2000", "PPM", "TGA", "ICO", "PSD")
"""Formats that Pillow may open; MPO counts as JPEG. None runs a program (EPS) or opens other files."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_RAW_BEGINNINGS = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"FOVb", b"\0MRM")

KEYING_BYTES, KEYING_BYTES_DEEP = 41, 61
"""Bytes per pixel for keying, beside the decoded picture, for 8 bits and for more.

Measured: with the picture, a run's peak grew by 44 and 67 bytes a pixel from 6.75 to 27 million pixels."""

DEFAULT_MEMORY = 8 << 30
"""Assumed free memory in bytes if the system gives no figure."""

_THUMBNAIL = 1
_COLOUR_FILTER_ARRAY, _LINEAR_RAW = 32803, 34892


def photo_suffixes() -> frozenset[str]:
    """Suffixes of photos in a folder: of a GIF (a clip, as a backdrop) the first picture is read."""
    return (IMAGE_SUFFIXES | RAW_SUFFIXES | {".gif"} | plugin_suffixes()) - unread_suffixes()


def plugin_suffixes() -> frozenset[str]:
    """Suffixes of the formats that plug-ins bring, with the dot; nothing is imported."""
    return frozenset(f".{name}" for name in find_plugins("format"))


def has_picture_suffix(path: Path) -> bool:
    """Tell whether a file is one picture by its name; those of plug-ins are asked last."""
    suffix = path.suffix.lower()
    return suffix in IMAGE_SUFFIXES or suffix in plugin_suffixes()


def unread_suffixes() -> frozenset[str]:
    """Suffixes of pictures that are skipped in a folder; some of them need an extra."""
    heif = frozenset() if find_spec("pillow_heif") else HEIF_SUFFIXES
    raw = frozenset() if find_spec("rawpy") else RAW_SUFFIXES
    studio = frozenset() if find_spec("OpenImageIO") else STUDIO_SUFFIXES
    return _UNREAD_SUFFIXES | heif | raw | studio


def is_heif(beginning: bytes) -> bool:
    """Tell whether a file with these first bytes (32 or more) is HEIC or another HEIF, but no AVIF."""
    return beginning[4:8] == b"ftyp" and beginning[8:12] in _HEIC_BRANDS and b"avif" not in beginning


def is_raw(beginning: bytes) -> bool:
    """Tell whether a file with these first bytes (32 or more) is camera RAW; many begin as a TIFF does."""
    brand = beginning[8:12] if beginning[4:8] == b"ftyp" else b""
    canon = beginning[:4] in tiff.MAGIC and beginning[8:10] == b"CR"
    return brand == b"crx " or canon or beginning.startswith(_RAW_BEGINNINGS)


def is_raw_tiff(path: Path, directory: tiff.Directory) -> bool:
    """Tell whether a TIFF is camera RAW: a DNG, mosaic samples, or the suffix of a camera."""
    photometric = directory.integer(tiff.PHOTOMETRIC, tiff.RGB)
    is_dng = tiff.DNG_VERSION in directory.entries or photometric in (_COLOUR_FILTER_ARRAY, _LINEAR_RAW)
    return is_dng or path.suffix.lower() in RAW_SUFFIXES


def refuse_thumbnail(path: Path, directory: tiff.Directory) -> None:
    """Raise :class:`InputError` for a TIFF whose first picture is a thumbnail."""
    if directory.integer(tiff.SUBFILE, 0) & _THUMBNAIL:
        height, width = directory.size
        raise InputError(
            f"The first picture in {path} is a thumbnail of {width}x{height}, not the photo.",
            "save the photo as a TIFF or PNG of its own",
        )


def check_budget(
    path: Path, width: int, height: int, pixel_bytes: int, budget_bytes: int | None, *, bits: int = 8
) -> None:
    """Raise :class:`InputError`, before decoding, if a picture needs more memory than is free.

    Args:
        path: The file.
        width: In pixels.
        height: In pixels.
        pixel_bytes: Bytes of a decoded pixel.
        budget_bytes: Limit for the decoded picture; None: decoding and keying with a plate have to fit into
            the memory that this process can still allocate.
        bits: Bits of a sample, 8 or more.
    """
    if budget_bytes is not None:
        size_bytes = height * width * pixel_bytes
        if size_bytes > budget_bytes:
            raise InputError(
                f"{path} is {width}x{height}: decoded it takes {size_bytes / 1e6:,.0f} MB, "
                f"over the budget of {budget_bytes / 1e6:,.0f} MB.",
                "make it smaller or raise the budget",
            )
        return
    available = available_memory()
    size_bytes = height * width * (pixel_bytes + (KEYING_BYTES if bits <= 8 else KEYING_BYTES_DEEP))
    if size_bytes > (DEFAULT_MEMORY if available is None else available):
        free = "" if available is None else f", and {available / 1e6:,.0f} MB are free"
        raise InputError(
            f"{path} is {width}x{height}: keying it takes {size_bytes / 1e6:,.0f} MB of memory{free}.",
            "make it smaller",
        )
