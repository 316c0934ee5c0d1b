"""History: What one rater has judged, to look through and to judge anew."""

from __future__ import annotations

import gradio as gr

TITLE = "History"
PATH = "/history"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='history'></loop-nav><loop-history></loop-history>",
        js_on_load=None,
        apply_default_css=False,
    )
