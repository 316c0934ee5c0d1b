"""Roles: what a person may do, each including those below it; and who stands behind a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from loop_studio.errors import Forbidden, Invalid


class Role(IntEnum):
    """From someone unknown to whoever runs the studio."""

    STRANGER = 0
    GUEST = 1
    RATER = 2
    TRAINER = 3
    ADMINISTRATOR = 4

    @property
    def word(self) -> str:
        """As people, the API and the database call it."""
        return self.name.lower()


ACCOUNT_ROLES = {role.word: role for role in (Role.RATER, Role.TRAINER, Role.ADMINISTRATOR)}
# What a token may do at most, whoever its owner is.
SCOPES = {"rate": Role.RATER, "train": Role.TRAINER, "administer": Role.ADMINISTRATOR}


@dataclass(frozen=True)
class Principal:
    """Who sends a request, what they may do, and under which name they judge.

    `name` is None where nobody signs in, and for the shared password: each request then says who
    judges. `project_id` is the only project that a guest may touch, `link_id` the link they came
    by. `scope` is the token's, where it allows less than its owner's role.
    """

    role: Role
    name: str | None = None
    user_id: str | None = None
    project_id: str | None = None
    link_id: str | None = None
    scope: str | None = None
    is_signed_in: bool = True
    by_token: bool = False

    @property
    def is_guest(self) -> bool:
        """Whether they came by a guest link."""
        return self.role is Role.GUEST

    @property
    def is_administrator(self) -> bool:
        """Whether they may see paths of this machine, and manage people."""
        return self.role is Role.ADMINISTRATOR

    def judges_as(self, given: str | None) -> str:
        """The name of a judgement for which the request gives this name, or none."""
        if self.name is None:
            if given is None:
                raise Invalid("rater is missing.")
            return given
        if given is not None and given != self.name:
            raise Forbidden(
                f"You are signed in as {self.name}; leave rater out, or give that name.",
                "another_rater",
            )
        return self.name


STRANGER = Principal(Role.STRANGER, is_signed_in=False)
# Of a studio on loopback without credentials, where whoever asks can run programs anyway.
SINGLE_USER = Principal(Role.ADMINISTRATOR, is_signed_in=False)
BOOTSTRAP = Principal(Role.ADMINISTRATOR)  # signed in with the shared password
