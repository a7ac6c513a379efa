"""What is not an ordinary operation: on arrays only, or left out, each with its reason."""

from __future__ import annotations

_NUMBERS = "the shape of the result depends on the numbers"
_CONVERGES = "it iterates until it converges"
_COMPLEX = "there are no complex tensors"

#: Operations that compute on arrays and raise RV112 inside a traced step.
ON_ARRAYS: dict[str, str] = {
    "bincount": _NUMBERS,
    "eigh": _CONVERGES,
    "lstsq": _CONVERGES,
    "matrix_rank": _CONVERGES,
    "nextafter": "it works on the bits of floats",
    "nonzero": _NUMBERS,
    "pinv": _CONVERGES,
    "svd": _CONVERGES,
    "unique": _NUMBERS,
    "view": "it works on the bytes of numbers",
}

#: Keras's operations that are not here; asking for one raises RV806 with the reason.
LEFT_OUT: dict[str, str] = {
    "eig": "eigenvalues of matrices that are not symmetric are complex; ops.eigh",
    "fft": "there is no Fourier transform",
    "fft2": "there is no Fourier transform",
    "ifft2": "there is no Fourier transform",
    "irfft": "there is no Fourier transform",
    "istft": "there is no Fourier transform",
    "polar": _COMPLEX,
    "rfft": "there is no Fourier transform",
    "stft": "there is no Fourier transform",
    "view_as_complex": _COMPLEX,
    "view_as_real": _COMPLEX,
}
