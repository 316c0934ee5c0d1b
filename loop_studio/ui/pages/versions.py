"""Versions: Every version, the live one, its files, and its pictures beside version 0's."""

from __future__ import annotations

import gradio as gr

TITLE = "Versions"
PATH = "/versions"


def build() -> None:
    """Place the page's components; static/ holds them."""
    gr.HTML(
        "<loop-nav page='versions'></loop-nav><loop-guard></loop-guard>"
        "<loop-versions></loop-versions>",
        js_on_load=None,
        apply_default_css=False,
    )
