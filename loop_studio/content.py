"""What a project shows of pictures that a safety checker finds sensitive, or that are reported.

Pure: the project's setting and a verdict in, what people may see out. A verdict is True for a
sensitive picture, False for one that is not, None while no checker has looked at it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

Content = Literal["off", "blur", "block"]
Withheld = Literal["unchecked", "sensitive", "reported", "removed"]

SENTENCES: dict[str, str] = {
    "unchecked": "This project blocks sensitive pictures, and this one is not checked yet.",
    "sensitive": "The safety checker finds this picture sensitive, and this project blocks those.",
    "reported": "This picture was reported; it is hidden until someone decides about it.",
    "removed": "This picture was reported and removed.",
}
NO_CHECKER = (
    "This model has no safety checker, so nothing can tell which pictures to block. Choose blur: "
    "every picture is then blurred until it is clicked."
)


@dataclass(frozen=True)
class ContentRule:
    """What a project does about sensitive pictures. How it works: docs/content.md."""

    content: Annotated[
        Content,
        Field(
            description="pictures that the model's safety checker finds sensitive: shown, blurred "
            "until clicked, or never shown and never learned from; without a checker, blur covers "
            "every picture"
        ),
    ] = "off"


def withheld(content: str, sensitive: bool | None) -> Withheld | None:
    """Why the setting keeps a picture from everyone; None if it may be shown."""
    if content != "block" or sensitive is False:
        return None
    return "unchecked" if sensitive is None else "sensitive"


def is_blurred(content: str, sensitive: bool | None) -> bool:
    """Whether a picture is blurred until someone asks for it; one nobody looked at is, too."""
    return content == "blur" and sensitive is not False
