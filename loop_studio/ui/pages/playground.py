"""Playground: Any prompt, seed, version and weight, and on to the raters what is worth judging."""

from __future__ import annotations

import gradio as gr

TITLE = "Playground"
PATH = "/playground"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='playground'></loop-nav><loop-playground></loop-playground>",
        js_on_load=None,
        apply_default_css=False,
    )
