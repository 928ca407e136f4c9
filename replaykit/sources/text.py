"""Text files as they come: which encoding, which line, compressed or not, and what is no text at all."""

from __future__ import annotations

import codecs
import gzip
from typing import IO, TYPE_CHECKING, cast

from replaykit.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from replaykit.sources.table import Intake

__all__ = ["encoding_of", "ends_with_newline", "head_of", "is_gzip", "open_bytes", "read_chunks"]

_CHUNK = 1 << 22
_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def is_gzip(path: Path) -> bool:
    """Tell whether a file is gzip by its first bytes, whatever it is called."""
    with path.open("rb") as handle:
        return handle.read(2) == b"\x1f\x8b"


def open_bytes(path: Path) -> IO[bytes]:
    """Open a file for reading its (decompressed) bytes."""
    return cast("IO[bytes]", gzip.open(path, "rb") if is_gzip(path) else path.open("rb"))


def head_of(path: Path, size: int = 4096) -> bytes:
    """Return the first decompressed bytes of a file."""
    with open_bytes(path) as handle:
        try:
            return handle.read(size)
        except (EOFError, OSError):
            return b""


def read_chunks(path: Path, intake: Intake) -> Iterator[bytes]:
    """Yield the bytes of a file; a gzip file that ends early yields what is there and is noted."""
    # In small steps from gzip, because a read that meets the end of a cut file gives nothing back of what it had.
    size = 1 << 16 if is_gzip(path) else _CHUNK
    with open_bytes(path) as handle:
        while True:
            try:
                chunk = handle.read(size)
            except (EOFError, OSError) as error:
                if isinstance(error, OSError) and not isinstance(error, gzip.BadGzipFile):
                    raise LoadError(f"File {str(path)!r} can't be read: {error.strerror}.") from None
                intake.note(f"{path.name} is a gzip file that ends early or is damaged; what came before was read.")
                return
            if not chunk:
                return
            yield chunk


def encoding_of(path: Path, intake: Intake) -> str:
    """Return the encoding of a text file: its byte order mark, else UTF-8, else Latin-1; anything odd is noted.

    Raises
    ------
    LoadError
        The file is not text.
    """
    head = head_of(path)
    for mark, name in _MARKS.items():
        if head.startswith(mark):
            intake.note(f"{path.name} starts with a byte order mark ({name}), which was left out.")
            if name == "utf-16":
                return name
            break
    if b"\0" in head and not head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise LoadError(
            f"File {str(path)!r} is binary and neither Parquet, SQLite nor a recording; "
            "expected CSV, JSON lines or Parquet. Export it to one of these."
        )
    if _is_utf8(path, intake):
        return "utf-8-sig" if head.startswith(codecs.BOM_UTF8) else "utf-8"
    intake.note(f"{path.name} is not UTF-8; it was read as Latin-1.")
    return "latin-1"


def _is_utf8(path: Path, intake: Intake) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in read_chunks(path, intake):
            decoder.decode(chunk)
    except UnicodeDecodeError:
        return False
    # A file cut in the middle of a character is still UTF-8; its last line is rejected where it is read.
    return True


def ends_with_newline(path: Path, intake: Intake) -> bool:
    """Tell whether the last line of a file is whole, as far as one can see."""
    last = b""
    for chunk in read_chunks(path, intake):
        last = chunk[-2:]
    return last.endswith((b"\n", b"\n\0"))
