"""The doctor: what an incident would need is looked at before it is needed. It changes nothing.

`plan.py` is the table of checks, `examine.py` runs them; each other module here asks one kind of
thing, and `judging` says what the answers mean.
"""

from controller.doctor.around import Around, here
from controller.doctor.examine import examine, examine_file

__all__ = ["Around", "examine", "examine_file", "here"]
