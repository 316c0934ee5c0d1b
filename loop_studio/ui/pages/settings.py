"""Settings: Prompts, reward source and every setting of the project."""

from __future__ import annotations

import gradio as gr

TITLE = "Settings"
PATH = "/settings"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='settings'></loop-nav><loop-settings></loop-settings>",
        js_on_load=None,
        apply_default_css=False,
    )
