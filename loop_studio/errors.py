"""Every error a person can meet. The message is one plain sentence that says what to do next.

    StudioError
    |- Refused            the request is understood and the state or a value forbids it
    |  |- Invalid         422  a value out of range; names the field and the range
    |  |- NotFound        404  no such thing
    |  |- Forbidden       403  this caller may not see it
    |  |- Conflict        409  the state forbids it now
    |  |- TooSlow         408  a body that does not arrive
    |  |- Gone            410  it was there, and is no more
    |  |- TooLarge        413  more than is taken at once
    |  `- Unsupported     415  content of another type
    `- Unready            the studio itself cannot go on
       |- ModelUnusable        a model folder that is missing, truncated or of another kind
       |- DataFolderUnusable   not writable, in use by another studio, full, or newer than the code
       |- Unfaithful           a stored trajectory does not replay under its own version
       `- RewardFailed         a reward gave no scores that can be used

Raised anywhere; caught at two borders only: the web server's handler and the worker's job loop.
"""

from __future__ import annotations


class StudioError(Exception):
    """Base of all errors with a sentence for people.

    `code` is the snake_case name that clients of the JSON API test for; `detail` the sentence.
    """

    code = "studio_error"
    status = 500

    def __init__(self, detail: str, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Refused(StudioError):
    """The request is understood and cannot be granted."""

    code = "refused"
    status = 400


class Invalid(Refused, ValueError):
    """A value is out of its range; the sentence names the field and the range."""

    code = "invalid_value"
    status = 422


class NotFound(Refused, LookupError):
    """There is no such project, group, image, update or version."""

    code = "not_found"
    status = 404


class Forbidden(Refused, PermissionError):
    """This caller may not see or do it (yet)."""

    code = "forbidden"
    status = 403


class Conflict(Refused):
    """The present state forbids it. `extra` joins the JSON answer, for example `update_id`."""

    code = "conflict"
    status = 409

    def __init__(self, detail: str, code: str | None = None, **extra: str) -> None:
        super().__init__(detail, code)
        self.extra = extra


class TooSlow(Refused):
    """The body of a request came too slowly to wait for its end."""

    code = "too_slow"
    status = 408


class Gone(Refused):
    """A link that has run out, was used, or was withdrawn."""

    code = "gone"
    status = 410


class TooLarge(Refused):
    """More bytes than are taken."""

    code = "too_large"
    status = 413


class Unsupported(Refused):
    """The content is of a type that this address does not take."""

    code = "unsupported_media_type"
    status = 415


class Unready(StudioError):
    """The studio itself cannot go on until a person changes something on this machine."""

    code = "unready"
    status = 503


class ModelUnusable(Unready):
    """The model folder is missing, truncated, or of a kind the engine does not train."""

    code = "model_unusable"


class DataFolderUnusable(Unready):
    """The data folder cannot be written, is in use, is full, or is newer than this release."""

    code = "data_folder_unusable"


class Unfaithful(Unready):
    """Stored trajectories do not replay to the log_prob they were stored with."""

    code = "unfaithful_replay"


class RewardFailed(Unready):
    """A reward is not to be had, failed, took too long, or gave what are no scores.

    `lasting`: it will fail for the next pictures too, until someone mends it.
    """

    code = "reward_failed"

    def __init__(self, detail: str, code: str | None = None, *, lasting: bool = True) -> None:
        super().__init__(detail, code)
        self.lasting = lasting
