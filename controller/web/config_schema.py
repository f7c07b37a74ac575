"""What the API answers about the cluster file a daemon runs with, and what `tricast config` prints.

Keys are written as in services[wallet].probes[ingress].rise: items of a list by their name.
"""

from pydantic import JsonValue

from controller.web.answer import FORMAT, Answer


class ConfigView(Answer):
    """Which cluster file a daemon runs with, and how that file is on the disk now."""

    file: str
    read_at: str
    hash: str  # of what it says, and no secret: the same for two files that say the same
    disk: str = "same"  # same | changed | unusable | gone
    disk_hash: str = ""  # "" while it cannot be used
    detail: str = ""  # why it cannot be used


class RunningConfig(ConfigView):
    """GET /api/v1/config: what a daemon runs with, every default filled in, secrets left out."""

    format: int = FORMAT
    cluster: str
    site: str
    version: str = ""
    now: str
    given: tuple[str, ...] = ()  # keys that stood in the file; the rest are defaults
    hidden: tuple[str, ...] = ()  # keys of which a part is not shown
    configuration: dict[str, JsonValue]


class ConfigFact(Answer):
    """Something that follows from the configuration."""

    about: str  # a key
    sentence: str


class ConfigShown(Answer):
    """`tricast config show --json`."""

    format: int = FORMAT
    cluster: str
    file: str
    site: str = ""  # whose daemon runs with it; "" for a file that was only read
    version: str = ""
    read_at: str = ""
    hash: str
    disk: str = ""  # of a daemon: same | changed | unusable | gone
    detail: str = ""
    configuration: dict[str, JsonValue]
    defaults: tuple[str, ...] = ()  # keys that do not stand in the file
    hidden: tuple[str, ...] = ()
    follows: tuple[ConfigFact, ...] = ()
    warnings: tuple[str, ...] = ()


class ConfigDifference(Answer):
    """One key that says something else in the file than where a daemon runs."""

    key: str
    running: JsonValue = None
    file: JsonValue = None
    only: str = ""  # file | running: the key, or the item, is only there
    running_default: bool = False
    file_default: bool = False
    needs: str  # what has to be restarted before it counts: daemon | daemon, exabgp | nothing


class ConfigSite(Answer):
    """The daemon of one site, compared with the file."""

    site: str
    answered: bool
    why: str = ""  # why not
    hash: str = ""
    read_at: str = ""
    disk: str = ""
    has_file: bool = False  # its own file already says what this one says: a restart takes it
    differences: tuple[ConfigDifference, ...] = ()


class ConfigDiff(Answer):
    """`tricast config diff --json`."""

    format: int = FORMAT
    cluster: str
    file: str
    hash: str
    same: bool  # no site that answered differs
    sites: tuple[ConfigSite, ...] = ()
