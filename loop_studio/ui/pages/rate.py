"""Rate: Judge pictures, group by group, without ever waiting."""

from __future__ import annotations

import gradio as gr

TITLE = "Rate"
PATH = "/rate"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='rate'></loop-nav><loop-guard></loop-guard><loop-rater></loop-rater>",
        js_on_load=None,
        apply_default_css=False,
    )
