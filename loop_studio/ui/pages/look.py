"""What every page has in its head: the theme, the script, the release, the settings form."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape

import gradio as gr

from loop_studio import __version__
from loop_studio.config import SECTIONS, setting_field

SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "Cantarell", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"]


def theme() -> gr.themes.Base:
    """Gradio's own surfaces in the neutral grey of static/pages.css; fonts of the system only."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.neutral,
        font=SANS,
        font_mono=MONO,
    ).set(
        body_background_fill="#dedede",
        body_background_fill_dark="#1d1d1d",
        body_text_color="#171717",
        body_text_color_dark="#ededed",
    )


def head() -> str:
    """Constant markup; addresses are relative to the page, so that a sub-path keeps working."""
    form = escape(json.dumps(settings_form()), quote=True)
    return (
        f'<meta name="loop-release" content="{__version__}">'
        f'<meta name="loop-settings-form" content="{form}">'
        '<meta name="color-scheme" content="light dark">'
        '<link rel="icon" type="image/svg+xml" href="static/icon.svg">'
        '<link rel="stylesheet" href="static/pages.css">'
        '<script type="module" src="static/pages.js"></script>'
    )


def settings_form() -> list[dict[str, object]]:
    """The settings page's sections and fields, read from the config dataclass."""
    return [
        {"name": section, "fields": [asdict(setting_field(name)) for name in names]}
        for section, names in SECTIONS.items()
    ]
