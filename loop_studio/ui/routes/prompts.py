"""The prompts that a project makes groups of."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import Field

from loop_studio.storage import projects, prompts
from loop_studio.ui.model_check import check_prompts
from loop_studio.ui.wire import Answer, Body, Db, Id, Text

router = APIRouter(tags=["prompts"])


class PromptTexts(Body):
    """The whole new list; prompts that are not on it stay with their groups."""

    prompts: Annotated[list[Text], Field(max_length=prompts.MOST)]


class Prompt(Answer):
    """A prompt, and the words of it that the model never saw."""

    id: str
    text: str
    unknown_words: list[str]


class PromptList(Answer):
    """The active prompts, oldest first."""

    prompts: list[Prompt]


@router.get("/projects/{id}/prompts")
def list_prompts(db: Db, id: Id) -> PromptList:
    """The active prompts."""
    projects.get(db, id)
    return PromptList.model_validate({"prompts": prompts.active(db, id)})


@router.put("/projects/{id}/prompts")
def replace_prompts(db: Db, id: Id, texts: PromptTexts) -> PromptList:
    """Replace the active list."""
    checked = check_prompts(texts.prompts, projects.get(db, id).model)
    prompts.replace(db, id, checked)
    return PromptList.model_validate({"prompts": prompts.active(db, id)})
