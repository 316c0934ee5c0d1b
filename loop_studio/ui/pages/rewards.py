"""Rewards: What an update learns from, every reward there is, and a place to try them."""

from __future__ import annotations

import gradio as gr

TITLE = "Rewards"
PATH = "/rewards"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='rewards'></loop-nav><loop-rewards></loop-rewards>",
        js_on_load=None,
        apply_default_css=False,
    )
