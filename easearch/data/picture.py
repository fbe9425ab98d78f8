"""One picture file as bytes: upright, on white, 8 bits a channel, its middle square resized."""

from __future__ import annotations

import stat
import warnings
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from easearch.errors import reason_of

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
"""What is opened, by content; the suffix decides only which files are looked at."""

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

DEEP = 65535
"""White of 16 bits a channel."""

REASON = 100
"""Characters of a decoder's reason that a message repeats."""


class UnreadableError(ValueError):
    """A file that is no picture, in words that end a sentence."""


def read_picture(path: Path, size: int, channels: int) -> Tensor:
    """Read a file as a square picture: uint8 (channels, size, size).

    Turned upright as its EXIF says; laid on white where it is transparent; 16 bits scaled to 8; of
    an animation the first frame; cropped to its middle square and resized, bilinear.

    Args:
        path: the file.
        size: pixels a side.
        channels: 1 grey, 3 colour.

    Raises:
        UnreadableError: no regular file, or none that can be read as a picture.
    """
    _check_file(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=FORMATS) as opened:
                picture = _upright(_eight_bits(opened))
            return _square(_flat(picture, channels), size, channels)
    except UnreadableError:
        raise
    except UnidentifiedImageError:
        raise UnreadableError("it is no picture") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        most = f"{Image.MAX_IMAGE_PIXELS or 0:,}"
        raise UnreadableError(f"it has more than {most} pixels") from None
    except Exception as error:  # a stranger's file: decoders raise whatever they like
        raise UnreadableError(reason_of(error, REASON)) from None


def _check_file(path: Path) -> None:
    """Refuse what would block or never end (a pipe, a device), and what is empty."""
    try:
        found = path.stat()
    except OSError as error:
        broken = "a broken link" if path.is_symlink() else error.strerror or "it is not there"
        raise UnreadableError(broken) from None
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableError("it is no regular file")
    if found.st_size == 0:
        raise UnreadableError("it is empty")


def _eight_bits(picture: Image.Image) -> Image.Image:
    """The picture itself, or one of 16 bits scaled to 8.

    Raises:
        UnreadableError: floats or 32 bits, whose white nobody knows.
    """
    deep = picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG")
    if deep:
        levels = np.asarray(picture).astype(np.float64) * (255 / DEEP)
        scaled = Image.fromarray(levels.round().astype(np.uint8))
        scaled.info, exif = dict(picture.info), picture.getexif().tobytes()
        if len(exif) > 0:
            scaled.info["exif"] = exif
        return scaled
    if picture.mode[0] in "IF":
        raise UnreadableError(
            f"it has {'float' if picture.mode[0] == 'F' else '32-bit'} pixels; save 8 or 16 bits"
        )
    return picture


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF says; one whose EXIF is damaged stays as it is."""
    try:
        turned = ImageOps.exif_transpose(picture)
    except Exception:  # the note beside a picture is damaged, the picture may not be
        turned = picture
    turned.load()
    return turned


def _flat(picture: Image.Image, channels: int) -> Image.Image:
    """Grey or colour, transparent parts on white."""
    mode = "L" if channels == 1 else "RGB"
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert(mode)
    seen = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", seen.size, "white"), seen).convert(mode)


def _square(picture: Image.Image, size: int, channels: int) -> Tensor:
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    # cropped before: Pillow's resize with a box lets the pixels around the box in
    middle = picture.crop((left, top, left + side, top + side))
    square = middle.resize((size, size), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(square)).view(size, size, channels).permute(2, 0, 1)
