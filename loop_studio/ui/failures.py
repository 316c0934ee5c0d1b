"""Why a job failed, as the API tells it: code, sentence, and what to do next."""

from __future__ import annotations

from loop_studio.ui.wire import Answer

_SETTINGS = "Change that in the settings, then start it again."
_MACHINE = "Mend that on the machine that runs the studio, then start it again."
_REPORT = "Start it again; if it fails again, copy the report for whoever runs the studio."
_NEXT_STEPS = {
    "cancelled": "Start another one when you like; its groups and ratings wait for it.",
    "out_of_memory": _SETTINGS,
    "not_finite": _SETTINGS,
    "no_prompts": _SETTINGS,
    "model_unusable": _SETTINGS,
    "no_signal": "Rate a few more groups, with a clear favourite, then start it again.",
    "too_few_groups": "Rate another group, then start it again.",
    "unfaithful_replay": "Rate new groups, then start it again.",
    "worker_lost": _REPORT,
    "data_folder_unusable": _MACHINE,
    "unready": _MACHINE,
    "database_busy": "Start it again in a minute.",
}


class UpdateError(Answer):
    """Why an update or another job failed, and what to do next."""

    code: str
    detail: str
    next_step: str


def failure(code: str | None, detail: str | None) -> UpdateError | None:
    """The error of a job that failed; None for one that did not."""
    if code is None:
        return None
    next_step = _NEXT_STEPS.get(code, _REPORT)
    return UpdateError(code=code, detail=detail or "", next_step=next_step)
