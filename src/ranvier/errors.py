"""Exceptions, findings and their codes.

Every message a user can meet carries a stable code such as ``RV101``. The first digit
says what it is about:

=====  ==========================  ==========================
digit  about                       exception
=====  ==========================  ==========================
1      shapes, arguments, the API  :class:`ShapeError`
2      data                        :class:`DataError`
3      numerics                    :class:`NumericsError`
4      behaviour                   (findings only)
5      performance                 (findings only)
6      files                       :class:`FileError`
7      resuming a run              :class:`ResumeError`
8      the environment             :class:`EnvironmentFault`
9      a fault of ranvier itself   :class:`InternalError`
=====  ==========================  ==========================

A *finding* is not an error: training goes on, but something deserves attention. It is
shown as a Python warning of class :class:`RanvierWarning`.
"""

from __future__ import annotations

import contextlib
import linecache
import os
import sys
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from types import FrameType

__all__ = [
    "DataError",
    "EnvironmentFault",
    "FileError",
    "Finding",
    "InternalError",
    "NumericsError",
    "RanvierError",
    "RanvierWarning",
    "ResumeError",
    "ShapeError",
    "explain",
    "nearest",
    "unknown_name",
    "user_place",
    "warn",
]

#: Python's own helpers that stand between a user's line and ours.
_HELPERS = ("<frozen", contextlib.__file__)
_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def _user_frame() -> FrameType | None:
    """The innermost frame that is not ranvier's own and has a file."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith((_PACKAGE, *_HELPERS)) and not _between(name):
            return frame
        frame = frame.f_back
    return None


def _between(name: str) -> bool:
    """Whether a file is of a package that calls us for the user: ``np.mean(t)``, a
    pipeline of scikit-learn's."""
    for package in ("numpy", "sklearn"):
        file = getattr(sys.modules.get(package), "__file__", None)
        if file is not None and name.startswith(os.path.dirname(file) + os.sep):
            return True
    return False


def user_place() -> str:
    """The user's line that led here, as ``train.py:14   model.fit(x, y)``."""
    frame = _user_frame()
    if frame is None:
        return ""
    name, line = frame.f_code.co_filename, frame.f_lineno
    text = linecache.getline(name, line, frame.f_globals).strip()
    here = os.getcwd() + os.sep if os.path.isdir(os.curdir) else ""
    if here and name.startswith(here):
        name = name[len(here) :]
    return f"{name}:{line}" + (f"   {text}" if text else "")


def _lines(label: str, text: str) -> list[str]:
    """``text`` indented by two, its first line behind ``label``."""
    first, *rest = text.strip("\n").split("\n")
    indent = " " * (2 + len(label))
    return [f"  {label}{first}", *(f"{indent}{line}" for line in rest)]


def _render(
    kind: str, code: str, message: str, details: str, fix: str, place: str
) -> str:
    out = [f"{kind}[{code}]: {message}"]
    if details:
        out += _lines("", details)
    if place:
        out += _lines("at ", place)
    if fix:
        out += _lines("fix: ", fix)
    out.append(f"  more: ranvier explain {code}")
    return "\n".join(out)


class RanvierError(ValueError):
    """Base of all errors ranvier raises on purpose.

    Its text reads ``error[CODE]: message``, then what was received, the user's line,
    and how to mend it.

    Args:
        code: stable code, such as ``"RV101"``.
        message: one line, without a full stop.
        details: what was received and what was expected; may have several lines.
        fix: what to write instead; a statement, not a question.
        place: where; the user's own line is looked up when this is empty.

    Example:
        >>> from ranvier.errors import ShapeError
        >>> print(ShapeError("RV103", "wrong size", fix="x[None]", place="a.py:1"))
        error[RV103]: wrong size
          at a.py:1
          fix: x[None]
          more: ranvier explain RV103
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        details: str = "",
        fix: str = "",
        place: str = "",
    ) -> None:
        self.code = code
        self.message = message
        self.details = details
        self.fix = fix
        self.place = place or user_place()
        #: What an engine reported (`ranvier.engines.api.Fault`), where one did.
        self.fault: object = None
        super().__init__(self.format())

    @property
    def help(self) -> str:
        """The paragraph ``ranvier explain CODE`` prints."""
        return explain(self.code)

    def format(self, *, place: bool = True) -> str:
        """The whole message; without the place where a command line has none."""
        at = self.place if place else ""
        return _render("error", self.code, self.message, self.details, self.fix, at)

    def as_dict(self) -> dict[str, str]:
        """The parts, for machines."""
        parts = ("code", "message", "details", "fix", "place")
        return {name: getattr(self, name) for name in parts}

    def __reduce__(self) -> tuple[object, ...]:
        # Exceptions are re-made from `args` when they cross a process; ours take
        # keywords, so they say how.
        return (
            _rebuild,
            (
                type(self),
                self.code,
                self.message,
                self.details,
                self.fix,
                self.place,
            ),
        )


def _rebuild(
    kind: type[RanvierError],
    code: str,
    message: str,
    details: str,
    fix: str,
    place: str,
) -> RanvierError:
    return kind(code, message, details=details, fix=fix, place=place)


class ShapeError(RanvierError):
    """RV1xx: shapes, arguments or names do not fit, or a call is missing."""


class DataError(RanvierError):
    """RV2xx: the data cannot be used as they are."""


class NumericsError(RanvierError):
    """RV3xx: a number left the finite range, or a derivative does not exist."""


class FileError(RanvierError):
    """RV6xx: a file is missing, damaged, unsafe, or cannot be written."""


class ResumeError(RanvierError):
    """RV7xx: a run cannot be continued."""


class EnvironmentFault(RanvierError):
    """RV8xx: a package, a device, memory or the network is missing."""


class InternalError(RanvierError):
    """RV9xx: a fault of ranvier itself; please report it."""


class RanvierWarning(UserWarning):
    """A finding, shown through Python's ``warnings``."""

    def __init__(self, text: str, finding: Finding | None = None) -> None:
        super().__init__(text)
        self.finding = finding


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that deserves attention but does not stop the work.

    Args:
        code: stable code, such as ``"RV102"``.
        message: one line, with the numbers seen.
        fix: what to write instead.
        details: further evidence.
    """

    code: str
    message: str
    fix: str = ""
    details: str = ""

    def format(self, place: str = "") -> str:
        """``finding[RV102]: …``, laid out like an error."""
        return _render(
            "finding", self.code, self.message, self.details, self.fix, place
        )

    def __str__(self) -> str:
        return self.format()


def warn(finding: Finding) -> None:
    """Shows a finding as a :class:`RanvierWarning` at the user's own line.

    Python's filters apply: the same finding at the same line is shown once.

    Example:
        >>> import warnings
        >>> from ranvier.errors import Finding, warn
        >>> with warnings.catch_warnings(record=True) as seen:
        ...     warnings.simplefilter("always")
        ...     warn(Finding("RV102", "softmax over one unit is always 1.0"))
        >>> seen[0].message.finding.code
        'RV102'
    """
    frame = _user_frame()
    message = RanvierWarning(finding.format(), finding)
    if frame is None:
        warnings.warn(message, stacklevel=2)
        return
    warnings.warn_explicit(
        message,
        RanvierWarning,
        filename=frame.f_code.co_filename,
        lineno=frame.f_lineno,
        module=frame.f_globals.get("__name__", "<unknown>"),
        registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )


def nearest(name: object, candidates: Iterable[str], count: int = 1) -> str:
    """The candidates closest to ``name``, as ``'a' or 'b'``; empty when none is close.

    Closeness is difflib's ratio (twice the matching characters over all characters),
    with its default cutoff of 0.6; letter case does not count.

    Example:
        >>> nearest("categorial_crossentropy", ["mse", "categorical_crossentropy"])
        "'categorical_crossentropy'"
    """
    import difflib

    wanted = str(name)
    spellings: dict[str, list[str]] = {}
    for candidate in candidates:
        spellings.setdefault(str(candidate).lower(), []).append(str(candidate))
    close = difflib.get_close_matches(wanted.lower(), spellings, n=count)

    def likeness(spelling: str) -> float:
        # Of "Adam" and "adam", the one spelled like what was written.
        return difflib.SequenceMatcher(None, wanted, spelling).ratio()

    return " or ".join(repr(max(spellings[key], key=likeness)) for key in close)


def unknown_name(
    what: str, name: object, candidates: Iterable[str], *, code: str = "RV107"
) -> ShapeError:
    """The error for a name nobody knows, naming the nearest and listing the known.

    Example:
        >>> unknown_name("optimizer", "adm", ["adam", "sgd"], ).message
        "unknown optimizer 'adm'; nearest: 'adam'"
    """
    import textwrap

    known = sorted(set(map(str, candidates)))
    close = nearest(name, known)
    message = f"unknown {what} {name!r}" + (f"; nearest: {close}" if close else "")
    return ShapeError(
        code,
        message,
        details=textwrap.fill("known: " + ", ".join(known), 84),
        fix=close,
    )


def explain(code: str) -> str:
    """The paragraph that explains a code.

    Args:
        code: such as ``"RV101"``; letter case and a missing ``RV`` are forgiven.

    Raises:
        ShapeError: RV107 when there is no such code.

    Example:
        >>> explain("RV102").split(":")[0]
        'RV102'
    """
    from ranvier._codes import CODES

    wanted = code.strip().upper().strip("[]")
    if wanted.isdigit():
        wanted = f"RV{wanted}"
    if wanted not in CODES:
        raise unknown_name("code", code, CODES)
    title, text = CODES[wanted]
    return f"{wanted}: {title}\n\n{text}"
