"""Figures that browsers report of themselves, counted per day."""

from __future__ import annotations

from datetime import date

from sqlalchemy import BigInteger, Date, String
from sqlalchemy.orm import Mapped, mapped_column

from loop_studio.storage.columns import Base


class ClientFigure(Base):
    """How often a figure fell into a bucket on one day (UTC); counters have the one bucket 0."""

    __tablename__ = "client_figures"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    bucket: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    count: Mapped[int] = mapped_column(BigInteger)
    total_ms: Mapped[int] = mapped_column(BigInteger)  # of what fell into it
