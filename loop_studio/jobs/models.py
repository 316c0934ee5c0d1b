"""The one loaded model of a worker, and which version fills each of its adapter slots."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from loop_studio import model_folder
from loop_studio.config import ProjectConfig
from loop_studio.content import NO_CHECKER
from loop_studio.diffusion.adapters import weighed
from loop_studio.diffusion.loading import snapshot
from loop_studio.diffusion.lora_file import Checkpoint, unpack_checkpoint
from loop_studio.diffusion.memory import check_fits
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.recipe import shape_of
from loop_studio.diffusion.safety import SafetyChecker
from loop_studio.errors import ModelUnusable
from loop_studio.settings import Attention
from loop_studio.starter.paths import folder_of
from loop_studio.storage import projects, versions
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.schema import Project, Version

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Key:
    folder: Path
    precision: str


class Models:
    """Loads models and fills adapter slots, at most when they differ from what is there."""

    def __init__(
        self,
        db: Database,
        files: FileStore,
        device: torch.device,
        token: str | None = None,
        attention: Attention = "auto",
    ) -> None:
        self.device = device
        self._db = db
        self._files = files
        self._token = token
        self._attention: Attention = attention
        self._key: _Key | None = None
        self._policy: StableDiffusionPolicy | None = None
        # Of models from the hub, by project; with or without the safety checker.
        self._snapshots: dict[tuple[str, bool], Path] = {}
        self._checker: tuple[_Key, SafetyChecker] | None = None
        self._slots: dict[str, str] = {}  # slot -> version id and shape

    def ready(
        self,
        project: Project,
        config: ProjectConfig,
        slot: str,
        version: Version,
        weight: float = 1.0,
    ) -> StableDiffusionPolicy:
        """The project's model with `version` in `slot`, its LoRA counting `weight`.

        Raises ModelUnusable when the model cannot be loaded or a file does not fit it.
        """
        policy = self._load(_Key(self.folder(project), config.precision), config)
        wanted = self._content(version, config, weight)
        if self._slots.get(slot) != wanted:
            self._slots.pop(slot, None)
            self._fill(policy, slot, version, config, weight)
            self._slots[slot] = wanted
        return policy

    def publish(
        self, policy: StableDiffusionPolicy, version: Version, config: ProjectConfig
    ) -> None:
        """Copy what `policy` learned to its live slot: `version` serves from the next rollout on.

        When raters were served by another model meanwhile, that one stays; the version's file is
        read when it is asked for.
        """
        self._slots.pop("learner", None)
        if policy is self._policy:
            policy.adapters.copy("learner", "live")
            self._slots["live"] = self._content(version, config)

    def learner_moved(self) -> None:
        """The learner no longer holds the version it was filled with."""
        self._slots.pop("learner", None)

    def checkpoint(self, version: Version) -> Checkpoint | None:
        """The stored checkpoint of a version; None for the base.

        Raises NotFound for a file that is gone or is not the one that was written.
        """
        if version.number == 0:
            return None
        path = versions.whole_file(self._db, self._files, version.id, "resume")
        return unpack_checkpoint(path.read_bytes())

    def _load(self, key: _Key, config: ProjectConfig) -> StableDiffusionPolicy:
        if self._policy is None or self._key != key:
            self._policy, self._key, self._slots = None, None, {}
            if (sentence := model_folder.fault(key.folder)) is not None:
                raise ModelUnusable(sentence)
            need = check_fits(key.folder, config, self.device)
            log.info("loading %s on %s: %.1f GB", key.folder, self.device, need.total / 1e9)
            self._policy = StableDiffusionPolicy.load(
                key.folder,
                shape_of(config),
                device=self.device,
                dtype=getattr(torch, key.precision),
                attention=self._attention,
            )
            self._key = key
        return self._policy

    def safety_checker(self, project: Project, config: ProjectConfig) -> SafetyChecker | None:
        """What looks at the project's pictures; None where nothing has to, or the model has none.

        Raises ModelUnusable for one that is damaged, and where pictures are to be blocked and
        there is none.
        """
        if config.content == "off":
            return None
        folder = self.folder(project, with_checker=True)
        if (sentence := model_folder.checker_fault(folder)) is not None:
            raise ModelUnusable(sentence)
        if not model_folder.has_checker(folder):
            if config.content == "block":
                raise ModelUnusable(NO_CHECKER)
            return None
        key = _Key(folder, config.precision)
        if self._checker is None or self._checker[0] != key:
            self._checker = None  # before the next one takes memory
            dtype = getattr(torch, key.precision)
            self._checker = (key, SafetyChecker.load(folder, self.device, dtype))
        return self._checker[1]

    def folder(self, project: Project, with_checker: bool = False) -> Path:
        """Where the project's model lies: of a hub id, the commit that the project began with."""
        where = folder_of(project.model)
        if isinstance(where, Path) or model_folder.kind(where) != "hub":
            return Path(where)
        key = (project.id, with_checker)
        if key not in self._snapshots:
            found = snapshot(where, project.model_revision, self._token, with_checker)
            projects.pin_model(self._db, project.id, found.name)
            self._snapshots[key] = found
        return self._snapshots[key]

    def _fill(
        self,
        policy: StableDiffusionPolicy,
        slot: str,
        version: Version,
        config: ProjectConfig,
        weight: float,
    ) -> None:
        checkpoint = self.checkpoint(version)
        if checkpoint is None:
            policy.adapters.reset(slot, shape_of(config), seed=_seed(version.project_id))
        else:
            adapter = weighed(checkpoint.adapter, weight)
            policy.adapters.load(slot, adapter, checkpoint.shape)

    @staticmethod
    def _content(version: Version, config: ProjectConfig, weight: float = 1.0) -> str:
        if version.number == 0:
            return f"{version.id} {shape_of(config)}"
        return version.id if weight == 1 else f"{version.id} x {weight}"


def _seed(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1
