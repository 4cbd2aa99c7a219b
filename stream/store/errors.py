"""Errors of the store. They carry data and declare how they are told, as `styleflow.errors` says.

StoreError                 the store cannot be used
├── StoreUrlInvalid    a URL that names no database that is known
├── StoreDriverMissing the package that speaks with the database is not installed
├── StoreUnavailable   the database cannot be reached, read or written now
│   └── StoreNotWritable   its file can be neither made nor opened
├── StoreTooNew        a newer version has written the database
├── StoreOff           there is none
├── NothingStored      an incident or stream that the store does not have
├── StillGoingOn       an incident that a running analyzer would write again
├── BackupFailed       a backup that cannot be written or used
└── TooManyPoints      more of the past is asked for than one answer holds
"""

from __future__ import annotations

from dataclasses import dataclass

from stream.errors import StreamError


class StoreError(StreamError):
    """The store cannot be used; `shown` is its URL without a password."""


@dataclass(eq=False)
class StoreUrlInvalid(StoreError):
    """A URL names no database that is known."""

    code = "store_url"
    title = "This is no database that can be used"
    hint = "Set store.url to sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME"
    status = 422
    exit_code = 2

    shown: str
    reason: str

    def __str__(self) -> str:
        return f"store.url {self.shown!r}: {self.reason}"


@dataclass(eq=False)
class StoreDriverMissing(StoreError):
    """The package that speaks with a database is not installed."""

    code = "store_driver"
    title = "This database needs a package that is not installed"
    hint = "Install it: pip install 'styleflow-live[postgres]'"
    status = 503
    exit_code = 2

    shown: str

    def __str__(self) -> str:
        return f"store.url {self.shown!r} needs psycopg"


@dataclass(eq=False)
class StoreUnavailable(StoreError):
    """The database cannot be reached, read or written now."""

    code = "store_unavailable"
    title = "The store cannot be used now"
    hint = "Look at the database and the space on its disk; scoring goes on meanwhile"
    status = 503
    retry = True

    shown: str
    reason: str

    def __str__(self) -> str:
        return f"{self.shown}: {self.reason}"


@dataclass(eq=False)
class StoreNotWritable(StoreUnavailable):
    """The store's file can be neither made nor opened."""

    code = "store_not_writable"
    title = "The store's file cannot be made or opened"
    hint = "Name a file that can be written with store.url, or go without: --no-store"
    retry = False


@dataclass(eq=False)
class StoreTooNew(StoreError):
    """A newer version of this program has written the database; `revision` is its tables'."""

    code = "store_too_new"
    title = "The store was written by a newer version"
    hint = "Update this program, or name another database with store.url"
    status = 503
    exit_code = 2

    shown: str
    revision: str

    def __str__(self) -> str:
        return f"{self.shown}: its tables are of revision {self.revision}, which is not known here"


class StoreOff(StoreError):
    """Something is asked of the store, and this analyzer keeps none."""

    code = "store_off"
    title = "This analyzer keeps no store"
    hint = "Set store.enabled: true, and do not serve with --no-store"
    status = 404

    def __str__(self) -> str:
        return "nothing is stored here; GET /api/v1/streams/{id}/history?seconds= has what is new"


@dataclass(eq=False)
class NothingStored(StoreError):
    """The store has nothing of what is named."""

    code = "nothing_stored"
    title = "The store has nothing of that"
    hint = "Check the id; styleflow store info says what there is"
    status = 404

    what: str

    def __str__(self) -> str:
        return f"the store has no {self.what}"


@dataclass(eq=False)
class StillGoingOn(StoreError):
    """Incidents are open, or their video is gathered: a running analyzer would write them again."""

    code = "still_going_on"
    title = "This incident is still going on"
    hint = (
        "Remove the stream or wait until the incident is closed and its video kept, and ask again; "
        "while no analyzer runs on this store, --open deletes it as it is"
    )
    status = 409

    incidents: tuple[str, ...]

    def __str__(self) -> str:
        named = ", ".join(self.incidents[:5])
        more = f" and {len(self.incidents) - 5} more" if len(self.incidents) > 5 else ""
        return (
            f"not deleted: {named}{more} still open or their video still gathered, "
            "so the analyzer would write them again"
        )


@dataclass(eq=False)
class BackupFailed(StoreError):
    """A backup cannot be written, or not be used."""

    code = "backup"
    title = "The backup cannot be made or used"
    hint = "See docs/operations.md, backup and restore"
    status = 500

    reason: str

    def __str__(self) -> str:
        return self.reason


@dataclass(eq=False)
class TooManyPoints(StoreError):
    """A question about the past has more points for an answer than are given at once."""

    code = "too_many_points"
    title = "That is more of the past than one answer holds"
    hint = "Ask for a shorter time, or a coarser resolution"
    status = 422

    limit: int
    resolution: int

    def __post_init__(self) -> None:
        self.hint = f"Ask with resolution={self.resolution} or coarser, or for a shorter time"

    def __str__(self) -> str:
        return f"one answer holds at most {self.limit} points"
