"""Status: how the studio is, and what needs attention."""

from __future__ import annotations

import gradio as gr

TITLE = "Status"
PATH = "/status"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='status'></loop-nav><loop-status></loop-status>",
        js_on_load=None,
        apply_default_css=False,
    )
