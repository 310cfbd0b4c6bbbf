"""Where live frames go: Live Link Face packets by UDP."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from magictalk_core.errors import UserError
from magictalk_core.rig.live_link_packet import live_link_packet

__all__ = ["DEFAULT_TARGET", "MAX_SUBJECT", "LiveLinkSender"]

DEFAULT_TARGET = "udp://127.0.0.1:11111"
"""This machine, at the port that Unreal listens on."""

MAX_SUBJECT = 64
_SCHEME = "udp"

_logger = logging.getLogger("magictalk.live")


class LiveLinkSender:
    """A socket to one receiver; it may come and go."""

    def __init__(self, target: str, subject: str, fps: int) -> None:
        """`target` is `udp://host:port`. Raises `UserError` for another form, and a host that cannot be reached."""
        if not subject.strip() or len(subject) > MAX_SUBJECT or not subject.isprintable():
            raise UserError(f"--subject {subject!r}: expected a name of 1 to {MAX_SUBJECT} printable characters")
        self.target, self.subject, self.fps = target, subject, fps
        self.sent, self.refused = 0, 0
        host, port = _place(target)
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            self._socket = socket.socket(family, kind, protocol)
            self._socket.connect(address)
        except (OSError, UnicodeError) as error:
            raise UserError(f"--to {target}: cannot be reached: {getattr(error, 'strerror', None) or error}") from error

    def send(self, motion: NDArray[np.float32], frame: int) -> None:
        """Send `motion` (58,) as frame number `frame`. Nobody there is a word in the log, once: they may come yet.

        Raises `UserError` where the receiver's network cannot be reached.
        """
        packet = live_link_packet(motion, frame, self.fps, self.subject)
        try:
            self._give(packet)
        except OSError as error:
            raise UserError(f"--to {self.target}: cannot be reached: {error.strerror}") from error
        self.sent += 1

    def _give(self, packet: bytes) -> None:
        try:
            self._socket.send(packet)
        except ConnectionRefusedError:
            # The answer to an earlier packet, in place of which this one was not sent.
            if not self.refused:
                _logger.warning("--to %s: nobody listens there yet; frames are sent all the same", self.target)
            self.refused += 1
            with suppress(ConnectionRefusedError):
                self._socket.send(packet)

    def close(self) -> None:
        self._socket.close()


def _place(target: str) -> tuple[str, int]:
    try:
        parts = urlsplit(target)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or not port or parts.scheme != _SCHEME or parts.path.strip("/") or parts.query or parts.username:
        raise UserError(f"--to {target}: expected {_SCHEME}://host:port, like {DEFAULT_TARGET}")
    return host, port
