"""The logs sent to a server."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ranvier.callbacks.callback import Callback, Logs
from ranvier.errors import RanvierWarning, ShapeError

__all__ = ["RemoteMonitor"]

#: Seconds after which a server counts as out of reach: training waits for it.
_TIMEOUT = 10.0


class RemoteMonitor(Callback):
    """Sends the number of each epoch and its logs to a server, by HTTP POST.

    A server that cannot be reached costs a warning, not the training.

    Args:
        root: the server's address, http or https.
        path: added to it.
        field: the form's field that holds the JSON, unless `send_as_json`.
        headers: further headers.
        send_as_json: send the JSON itself, not a form.

    Raises:
        ShapeError: RV100 for another kind of address.

    Example:
        ```python
        model.fit(x, y, callbacks=[RemoteMonitor("http://localhost:9000")])
        ```
    """

    def __init__(
        self,
        root: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str = "data",
        headers: Mapping[str, str] | None = None,
        send_as_json: bool = False,
    ) -> None:
        super().__init__()
        if not str(root).startswith(("http://", "https://")):
            raise ShapeError(
                "RV100",
                f"RemoteMonitor: root={root!r} is no address of a web server",
                fix="root='http://localhost:9000'",
            )
        self.root = root
        self.path = path
        self.field = field
        self.headers = headers
        self.send_as_json = send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Sends the logs."""
        import http.client
        import urllib.error
        import urllib.parse
        import urllib.request

        send: dict[str, Any] = {"epoch": epoch}
        for name, value in (logs or {}).items():
            array = isinstance(value, (np.ndarray, np.generic))
            send[name] = value.tolist() if array else value
        text = json.dumps(send)
        if self.send_as_json:
            data, kind = text.encode(), "application/json"
        else:
            data = urllib.parse.urlencode({self.field: text}).encode()
            kind = "application/x-www-form-urlencoded"
        headers = {"Content-Type": kind} | dict(self.headers or {})
        request = urllib.request.Request(self.root + self.path, data, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                answer.read()
        except (OSError, http.client.HTTPException) as fault:
            if isinstance(fault, urllib.error.HTTPError):
                fault.close()
            warnings.warn(
                RanvierWarning(
                    f"RemoteMonitor: {self.root} cannot be reached: "
                    f"{getattr(fault, 'reason', None) or fault}"
                ),
                stacklevel=2,
            )
