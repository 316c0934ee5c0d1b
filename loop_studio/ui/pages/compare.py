"""Compare: Two versions on the same prompts and seeds, every version in a grid, and over time."""

from __future__ import annotations

import gradio as gr

TITLE = "Compare"
PATH = "/compare"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='compare'></loop-nav><loop-compare></loop-compare>",
        js_on_load=None,
        apply_default_css=False,
    )
