"""The plotly.js library, packed to be carried inside a report."""

import base64
import gzip
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from livegrad.errors import LivegradError


@lru_cache(maxsize=1)
def packed() -> str:
    """Return plotly.js, gzipped, in base64: 2.0 MB where the library itself has 4.8 MB.

    The Python package carries the full build only. Its file is read without importing the package.

    Raises:
        LivegradError: the plotly package is missing or has no library in it.
    """
    return base64.b64encode(gzip.compress(library(), compresslevel=6, mtime=0)).decode("ascii")


def library() -> bytes:
    """Return plotly.js as it is, UTF-8.

    Raises:
        LivegradError: the plotly package is missing or has no library in it.
    """
    spec = find_spec("plotly")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    for place in places:
        path = Path(place) / "package_data" / "plotly.min.js"
        if path.is_file():
            return path.read_bytes()
    raise LivegradError("figures in HTML need plotly, and it was not found here. Type: pip install plotly")
