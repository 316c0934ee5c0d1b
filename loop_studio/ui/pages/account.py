"""Your account: One's own password, tokens, and the way out."""

from __future__ import annotations

import gradio as gr

TITLE = "Your account"
PATH = "/account"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='account'></loop-nav><loop-account></loop-account>",
        js_on_load=None,
        apply_default_css=False,
    )
