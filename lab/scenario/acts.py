"""Every act of the vocabulary, as the lab does it."""

from collections.abc import Mapping
from typing import Final

from lab.netns.error import LabError
from lab.scenario.hands import LINKS_AND_PROCESSES, Act, Hands, Refused
from lab.scenario.matching import Phrase
from lab.scenario.people import PEOPLE
from lab.scenario.play import NotDone, StageError


async def _stick(hands: Hands, phrase: Phrase) -> None:
    await hands.providers.stick(phrase.text("SITE"))


async def _unstick(hands: Hands, phrase: Phrase) -> None:
    await hands.providers.unstick(phrase.text("SITE"))


ROUTES: Final[Mapping[str, Act]] = {"stick": _stick, "unstick": _unstick}
ACTS: Final[Mapping[str, Act]] = {**LINKS_AND_PROCESSES, **PEOPLE, **ROUTES}


async def do(hands: Hands, phrase: Phrase) -> None:
    """It has been done."""
    try:
        await ACTS[phrase.key](hands, phrase)
    except Refused as error:
        raise NotDone(str(error)) from error
    except (LabError, TimeoutError) as error:
        raise StageError(f"the lab cannot {phrase}: {error}") from error
