"""What the environment says. The only module that reads environment variables."""

from __future__ import annotations

import ipaddress
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from loop_studio.errors import Invalid

STARTER = "starter"
GIB = 2**30
Attention = Literal["auto", "xformers"]
LogFormat = Literal["plain", "json"]

# Of a process that computes on the CPU, unless the environment already says otherwise.
TUNING = {
    # Freed tensors stay with the process: returning each to the system and faulting it in again
    # took a tenth of a denoising step (26,000 page faults per pass).
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "17179869184",
    # OpenMP's threads spin briefly for the next piece of work, then sleep. Two cores, ms per
    # sample, batch 8 and forward with backward at 32: sleeping at once ("passive") 18 and 23, this
    # 8 and 13, spinning as by default 8 and 13, but 590 and 60 where others want a core too.
    "GOMP_SPINCOUNT": "3000",
    "KMP_BLOCKTIME": "1",  # ms, the same for the OpenMP of macOS; not measured
}


class Settings(BaseSettings):
    """One studio's settings; every field is `LOOP_STUDIO_<NAME>` in the environment."""

    model_config = SettingsConfigDict(
        env_prefix="LOOP_STUDIO_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    data: Path = Field(Path("data"), description="folder for the database and all files")
    database_url: str | None = Field(None, description="PostgreSQL URL; SQLite in data if unset")
    model: str = Field(STARTER, description="model of new projects: starter, a folder or a hub id")
    device: str | None = Field(None, description="cpu, cuda, cuda:1, mps; the best one if unset")
    attention: Attention = Field("auto", description="auto: PyTorch's own kernels; or xformers")
    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(7860, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    password: SecretStr | None = Field(None, description="shared sign-in for every page and route")
    password_file: Path | None = Field(None, description="file that holds the password")
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names beside loopback that browsers may use, separated by commas"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        ("127.0.0.1", "::1"),
        description="addresses or networks of proxies whose X-Forwarded-* headers are believed",
    )
    reward_functions: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="rewards of your own, module:function, separated by commas"
    )
    judge_url: str = Field("", description="OpenAI-compatible endpoint of the reward judge")
    judge_key: SecretStr | None = Field(None, description="its key; sent to judge_url alone")
    quota_gib: float | None = Field(
        None, gt=0, description="GiB that the data may take; no limit if unset"
    )
    free_gib: float = Field(1.0, ge=0, description="GiB of free disk below which no group is made")
    backups: Path | None = Field(None, description="folder of the backups; data/backups if unset")
    backups_kept: int = Field(
        7, ge=0, le=1000, description="nightly backups that are kept; 0 makes none"
    )
    log_format: LogFormat = Field("plain", description="plain lines, or json: one object per line")
    metrics_token: SecretStr | None = Field(None, description="bearer token for /metrics alone")
    metrics_token_file: Path | None = Field(None, description="file that holds that token")
    hf_token: SecretStr | None = Field(None, validation_alias="HF_TOKEN")
    hf_token_file: Path | None = Field(None, validation_alias="HF_TOKEN_FILE")

    @field_validator("allowed_hosts", "trusted_proxies", "reward_functions", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, entries: tuple[str, ...]) -> tuple[str, ...]:
        for entry in entries:
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError:
                what = "no address or network such as 172.18.0.0/16"
                raise ValueError(f"{entry!r} is {what}") from None
        return entries

    @cached_property
    def credential(self) -> str | None:
        """The shared password, from the variable or the file; None asks for no sign-in."""
        return _secret(self.password, self.password_file)

    @cached_property
    def hub_token(self) -> str | None:
        """Token for gated models on the hub, or None."""
        return _secret(self.hf_token, self.hf_token_file)

    @cached_property
    def scraper_token(self) -> str | None:
        """What a metrics scraper sends as its bearer token, or None."""
        return _secret(self.metrics_token, self.metrics_token_file)

    @property
    def judge_secret(self) -> str | None:
        """Key of the judge's endpoint, or None."""
        return _secret(self.judge_key, None)

    @property
    def resolved_database_url(self) -> str:
        """SQLAlchemy URL of the database."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'studio.sqlite3'}"

    def for_child(self) -> dict[str, str]:
        """The environment in which a child process reads these same settings."""
        return {
            **TUNING,
            **os.environ,
            "LOOP_STUDIO_DATA": str(self.data.absolute()),
            "LOOP_STUDIO_DATABASE_URL": self.resolved_database_url,
            "LOOP_STUDIO_DEVICE": self.device or "",
            "LOOP_STUDIO_LOG_FORMAT": self.log_format,
            "HF_TOKEN": self.hub_token or "",
            "TRANSFORMERS_VERBOSITY": "error",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    @property
    def files(self) -> Path:
        """Folder of the local file store."""
        return self.data / "files"

    @property
    def backup_folder(self) -> Path:
        """Where backups lie."""
        return self.backups or self.data / "backups"

    @property
    def quota_bytes(self) -> int | None:
        """What the data may take, in bytes; None without a limit."""
        return None if self.quota_gib is None else round(self.quota_gib * GIB)

    @property
    def reward_weights(self) -> Path:
        """Folder for weights of rewards that are put there by hand."""
        return self.data / "rewards"

    @property
    def is_private(self) -> bool:
        """Whether only this machine's own people reach the pages: they can run programs anyway."""
        return is_loopback(self.host) and not self.allowed_hosts


def is_loopback(name: str) -> bool:
    """Whether a host name or address can only be this machine."""
    if name.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def _secret(value: SecretStr | None, file: Path | None) -> str | None:
    if value is not None:
        return value.get_secret_value() or None
    if file is None:
        return None
    try:
        return file.read_text(encoding="utf-8").strip() or None
    except OSError as error:
        raise Invalid(f"The secret in {file} cannot be read: {error.strerror}.") from error


def from_environment() -> Settings:
    """The settings of this process; raises Invalid with one sentence that names the variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = f"LOOP_STUDIO_{str(first['loc'][0]).upper()}"
        raise Invalid(f"{name} is {first['input']!r}: {first['msg']}.") from None
