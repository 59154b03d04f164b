"""The data folder: its database, its pepper, and the lock that makes one process its owner."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from tollway.errors import ConfigurationError

DATABASE, PEPPER, LOCK = "tollway.db", "pepper", "tollway.lock"
_PEPPER_BYTES = 32


class FolderInUse(ConfigurationError):
    """Another process owns the data folder."""


class DataFolder:
    """One installation's files. Creating this makes the folder (0700) if it is missing; it locks nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                file=str(path),
                line=None,
                key="data folder",
                problem=f"it cannot be made: {error.strerror}",
                fix="name a folder that this user may write to, with --data",
            ) from error

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / DATABASE

    def lock(self) -> None:
        """Become the owner until `unlock` or the end of the process.

        Raises:
            FolderInUse: another process is.
        """
        handle = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(handle, 20).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise FolderInUse(
                file=str(self.path),
                line=None,
                key="data folder",
                problem=f"another Tollway (process {owner}) owns it",
                fix="stop that process, or name another folder with --data",
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, str(os.getpid()).encode())
        self._lock = handle

    def unlock(self) -> None:
        """Give the folder up."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def pepper(self, random_bytes: Callable[[int], bytes]) -> bytes:
        """The 32 bytes under which keys are digested; made once, readable by the owner alone (0600).

        Raises:
            ConfigurationError: the file is there but is not 32 bytes: keys made under the lost one cannot be checked.
        """
        path = self.path / PEPPER
        if not path.exists():
            if self.database.exists() and self.database.stat().st_size:
                raise ConfigurationError(
                    file=str(path),
                    line=None,
                    key="pepper",
                    problem="it is missing beside a database: under another one no API key that was ever given out works",
                    fix="restore the file from the backup of this folder, or give it in TOLLWAY_PEPPER",
                )
            # Whole or not at all: a crash must not leave half a pepper under which no key is ever found.
            fresh = path.with_suffix(".new")
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                os.write(handle, random_bytes(_PEPPER_BYTES))
                os.fsync(handle)
            finally:
                os.close(handle)
            fresh.replace(path)
        pepper = path.read_bytes()
        if len(pepper) != _PEPPER_BYTES:
            raise ConfigurationError(
                file=str(path),
                line=None,
                key="pepper",
                problem=f"it has {len(pepper)} bytes instead of {_PEPPER_BYTES}",
                fix="restore the file from a backup; without it every API key must be made anew",
            )
        return pepper
