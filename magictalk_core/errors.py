"""The project's exceptions. A message says what was expected, what was found, where, and what to type next."""

from __future__ import annotations

__all__ = ["MachineError", "MagicTalkError", "MissingWeights", "PermanentError", "TransientError", "UserError"]


class MagicTalkError(Exception):
    """Base of every error that this project raises on purpose."""


class TransientError(MagicTalkError):
    """Worth another try: the network, a lock, a busy device."""


class PermanentError(MagicTalkError):
    """Another try gives the same result: corrupt data, a missing file, a broken contract."""


class MachineError(MagicTalkError):
    """Trouble of the machine: no space, read-only, no memory, too many files; nothing was recorded, go on later."""


class UserError(PermanentError):
    """Bad input from the person at the keyboard; the command line prints it as one line and exits with 2."""


class MissingWeights(UserError):
    """A third-party weight file is not here and has to be brought: the message says which, from where and how.

    `file`: its name in the list of weights, where it stands there.
    """

    def __init__(self, message: str, file: str | None = None) -> None:
        super().__init__(message)
        self.file = file
