"""Settings of the few-step student of EmoDiff."""

from __future__ import annotations

from pydantic import Field

from magictalk_core.config import FamilySettings, TrainingConfig

__all__ = ["StudentSettings", "StudentTrainingConfig"]


class StudentTrainingConfig(TrainingConfig):
    """What the student learns of its teacher, whose network it has."""

    evaluations: int = Field(4, ge=1, le=8, description="network evaluations per window that the student takes")
    guidance: float = Field(0.15, description="w of Eq. 5 that the teacher is asked with: the student has it inside")


class StudentSettings(FamilySettings):
    """All of the student."""

    training: StudentTrainingConfig = StudentTrainingConfig()
