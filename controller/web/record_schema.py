"""Who holds a service, as its epoch record says."""

from controller.web.answer import Answer


class RecordView(Answer):
    """The epoch record of a service."""

    kind: str
    reason: str
    asked_by: str = ""
    at: str = ""
    learners: tuple[str, ...] = ()  # sites that do not vote, by an operator's word
