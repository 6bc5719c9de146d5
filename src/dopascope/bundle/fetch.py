"""Bring a bundle from a folder, a zip or an https address into a folder, within limits."""

from __future__ import annotations

import re
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

from dopascope import provenance
from dopascope.bundle import spec
from dopascope.errors import BundleError, UsageError

MAX_ZIP_BYTES: Final = 600 * 1024 * 1024
MAX_ENTRIES: Final = 32
TIMEOUT_S: Final = 30
_CHUNK: Final = 1 << 20
_SAFE_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@contextmanager
def as_folder(source: str | Path, *, sha256: str | None = None) -> Iterator[Path]:
    """The bundle at `source` as a folder that exists while the block runs.

    Args:
        source: a folder, a zip file, or an `https://` address of a zip file.
        sha256: digest that the zip must have; required for an address.

    Raises:
        UsageError: nothing is there, another scheme than https, or an address without a digest.
        BundleError: the digest differs, the download fails, or the zip is not one bundle within the limits.
    """
    if sha256 is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise UsageError("This is not a sha256.", where="sha256", found=sha256, expected="64 hexadecimal digits")
    text = str(source)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    with tempfile.TemporaryDirectory(prefix="dopascope-bundle-") as temporary:
        room = Path(temporary)
        if scheme:
            yield _unpacked(_downloaded(text, scheme[1].lower(), sha256, room), sha256, room)
        elif Path(source).is_dir():
            if sha256 is not None:
                raise UsageError("A folder has no sha256.", where=source, fix="Leave --sha256 away, or name a zip.")
            yield Path(source)
        elif Path(source).is_file():
            yield _unpacked(Path(source), sha256, room)
        else:
            raise UsageError(
                "There is no bundle here.",
                where=source,
                expected="a bundle's folder, a zip of one, or an https address",
                fix="Check the spelling.",
            )


def _downloaded(address: str, scheme: str, sha256: str | None, room: Path) -> Path:
    if scheme != "https":
        raise UsageError(
            "Models are fetched by https only.",
            where=address,
            found=scheme,
            expected="https",
            fix="Download the file yourself and name its path.",
        )
    if sha256 is None:
        raise UsageError(
            "A download needs its digest.",
            where=address,
            expected="--sha256 HEX",
            fix="Take the sha256 from the page that publishes the model.",
        )
    target = room / "download.zip"
    try:
        download(address, target, limit=MAX_ZIP_BYTES, timeout_s=TIMEOUT_S)
    except (OSError, ValueError) as error:
        raise BundleError(
            "The model cannot be fetched.",
            where=address,
            found=error,
            fix="Check the address and the network, or download the file yourself and name its path.",
        ) from error
    return target


def download(address: str, target: Path, *, limit: int, timeout_s: float) -> None:
    """Fetch an `https://` address, also after redirects, into a file of at most `limit` bytes.

    Raises:
        OSError, ValueError: it cannot be fetched, or is not reached by https.
        BundleError: it is larger.
    """
    with _opener().open(address, timeout=timeout_s) as answer, open(target, "wb") as out:
        _copy_bounded(answer, out, limit, address)


def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_HttpsOnly())


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to another https address."""

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if not newurl.lower().startswith("https://"):
            raise urllib.error.URLError(f"redirected away from https, to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _copy_bounded(source: IO[bytes], out: IO[bytes], limit: int, where: object) -> None:
    copied = 0
    while chunk := source.read(_CHUNK):
        copied += len(chunk)
        if copied > limit:
            raise BundleError(
                "The model is too large.", where=where, found=f"> {limit} bytes", expected=f"<= {limit} bytes"
            )
        out.write(chunk)


def _unpacked(archive: Path, sha256: str | None, room: Path) -> Path:
    found = provenance.sha256_of(archive)
    if sha256 is not None and found != sha256.lower():
        raise BundleError(
            "The file is not the one that was meant.",
            where=archive.name,
            found=f"sha256 {found}",
            expected=f"sha256 {sha256.lower()}",
            fix="Do not use it; fetch it again, or ask who published it.",
        )
    folder = room / "bundle"
    folder.mkdir()
    try:
        with zipfile.ZipFile(archive) as opened:
            _extract(opened, folder, archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BundleError("The zip cannot be unpacked.", where=archive, found=error, fix="Fetch it again.") from error
    return folder


def _extract(opened: zipfile.ZipFile, folder: Path, archive: Path) -> None:
    """Plain files of one folder, under their last name, each counted while it is inflated."""
    members = [one for one in opened.infolist() if not one.is_dir()]
    paths = [PurePosixPath(one.filename) for one in members]
    tops = {path.parent.as_posix() for path in paths}
    names = [path.name for path in paths]
    links = any((one.external_attr >> 16) & 0o170000 not in (0, 0o100000) for one in members)
    unsafe = [one.filename for one in members if not all(_SAFE_NAME.fullmatch(p) for p in one.filename.split("/"))]
    if len(members) > MAX_ENTRIES or len(tops) != 1 or len({n.lower() for n in names}) != len(names) or links or unsafe:
        raise BundleError(
            "The zip is not one bundle.",
            where=archive,
            found=", ".join(one.filename for one in members[:4]) + (" and links" if links else ""),
            expected=f"at most {MAX_ENTRIES} plain files in one folder, {spec.SPEC_FILE} among them",
            fix="Make it with: dopascope models export NAME FILE.zip",
        )
    left = MAX_ZIP_BYTES
    for member, name in zip(members, names, strict=True):
        with opened.open(member) as source, open(folder / name, "wb") as out:
            _copy_bounded(source, out, left, f"{archive}: {name}")
            left -= out.tell()
