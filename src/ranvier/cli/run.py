"""``ranvier run SCRIPT``: a Keras program, run on ranvier, untouched."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from ranvier.errors import FileError

__all__ = ["main"]


def main(*, script: Path, arguments: tuple[str, ...]) -> int:
    """Runs the script as ``python SCRIPT …`` would, with keras meaning ranvier."""
    if not script.is_file():
        raise FileError("RV605", f"no such program: {script}")
    import ranvier.as_keras

    ranvier.as_keras.install()
    sys.argv = [str(script), *arguments]
    # As Python does for a script: its own folder comes first.
    sys.path.insert(0, str(script.resolve().parent))
    runpy.run_path(str(script), run_name="__main__")
    return 0
