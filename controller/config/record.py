"""The shape all configuration records share."""

from pydantic import BaseModel, ConfigDict


class Record(BaseModel):
    """Frozen; unknown keys are errors; a number in quotes is not a number."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, hide_input_in_errors=True, validate_default=False
    )
