"""Projects: All of them at a glance; a new one in three questions; cloned, packed, deleted."""

from __future__ import annotations

import gradio as gr

TITLE = "Projects"
PATH = "/projects"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='projects'></loop-nav><loop-projects></loop-projects>",
        js_on_load=None,
        apply_default_css=False,
    )
