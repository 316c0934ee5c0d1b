"""The one loaded model of a worker, and which version fills each of its adapter slots."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch

from loop_studio import model_folder
from loop_studio.config import ProjectConfig
from loop_studio.diffusion.loading import snapshot
from loop_studio.diffusion.lora_file import Checkpoint, unpack_checkpoint
from loop_studio.diffusion.memory import check_fits
from loop_studio.diffusion.policy import StableDiffusionPolicy
from loop_studio.diffusion.recipe import shape_of
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
        self._snapshots: dict[str, Path] = {}  # of models from the hub, by project
        self._slots: dict[str, str] = {}  # slot -> version id and shape

    def ready(
        self, project: Project, config: ProjectConfig, slot: str, version: Version
    ) -> StableDiffusionPolicy:
        """The project's model with `version` in `slot`.

        Raises ModelUnusable when the model cannot be loaded or a file does not fit it.
        """
        policy = self._load(_Key(self._folder(project), config.precision), config)
        wanted = self._content(version, config)
        if self._slots.get(slot) != wanted:
            self._slots.pop(slot, None)
            self._fill(policy, slot, version, config)
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
        """The stored checkpoint of a version; None for the base."""
        if version.number == 0:
            return None
        stored = versions.file(self._db, version.id, "resume")
        with self._files.open(stored.key) as file:
            return unpack_checkpoint(file.read())

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

    def _folder(self, project: Project) -> Path:
        """Where the project's model lies: of a hub id, the commit that the project began with."""
        where = folder_of(project.model)
        if isinstance(where, Path) or model_folder.kind(where) != "hub":
            return Path(where)
        if project.id not in self._snapshots:
            found = snapshot(where, project.model_revision, self._token)
            projects.pin_model(self._db, project.id, found.name)
            self._snapshots[project.id] = found
        return self._snapshots[project.id]

    def _fill(
        self, policy: StableDiffusionPolicy, slot: str, version: Version, config: ProjectConfig
    ) -> None:
        checkpoint = self.checkpoint(version)
        if checkpoint is None:
            policy.adapters.reset(slot, shape_of(config), seed=_seed(version.project_id))
        else:
            policy.adapters.load(slot, checkpoint.adapter, checkpoint.shape)

    @staticmethod
    def _content(version: Version, config: ProjectConfig) -> str:
        return f"{version.id} {shape_of(config)}" if version.number == 0 else version.id


def _seed(text: str) -> int:
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") >> 1
