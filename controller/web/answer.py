"""The shape all answers of the API share."""

from typing import Final

from pydantic import BaseModel, ConfigDict

FORMAT: Final = 1


class Answer(BaseModel):
    """Frozen; unknown fields of a newer daemon are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")
