"""``ranvier run SCRIPT``: a Keras program, run on ranvier, untouched."""

from __future__ import annotations

import runpy
import sys
import traceback
import types
from pathlib import Path

from ranvier.errors import FileError, RanvierError

__all__ = ["main"]

ERROR, DIVERGED = 1, 3


def main(*, script: Path, arguments: tuple[str, ...]) -> int:
    """Runs the script as ``python SCRIPT …`` would, with keras meaning ranvier.

    Returns:
        The exit code: the program's own, 1 for an error in it, 3 where training diverged.
    """
    if not script.is_file():
        raise FileError("RV605", f"no such program: {script}")
    import ranvier.as_keras

    ranvier.as_keras.install()
    sys.argv = [str(script), *arguments]
    # As Python does for a script: its own folder comes first.
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except RanvierError as fault:
        print(fault.format(), file=sys.stderr, flush=True)
        return DIVERGED if fault.code in ("RV301", "RV302") else ERROR
    except Exception as fault:
        # As Python shows it for a script, without the lines of this command.
        fault.__traceback__ = _own_part(fault.__traceback__, str(script))
        traceback.print_exception(fault)
        return ERROR
    return 0


def _own_part(
    trace: types.TracebackType | None, script: str
) -> types.TracebackType | None:
    """The frames from the program's first one on; none where it did not start."""
    while trace is not None and trace.tb_frame.f_code.co_filename != script:
        trace = trace.tb_next
    return trace
