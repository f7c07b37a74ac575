"""The cluster file: typed, complete, and refused when it cannot be safe.

`load(path)` gives a `Cluster` or raises `ConfigError` with every problem found, each naming file,
line, key and value. Nothing here talks to the outside but for reading the files it is told of.
"""

from controller.config.cluster import Cluster
from controller.config.load import Inspection, inspect, inspect_text, load, load_for
from controller.config.notifications import Body, NotificationsConf, TargetConf
from controller.config.policies import PolicyConf, Verb
from controller.config.problem import ConfigError, Problem
from controller.config.secret import Secret, SecretError, read_secret
from controller.config.secret_files import check_secret_files
from controller.config.services import (
    AppServer,
    DatabaseConf,
    Objectives,
    ProbeConf,
    ProbeKind,
    ProbeScope,
    Service,
    VoterConf,
)
from controller.config.sites import WEIGHT_MAX, Bgp, Family, Neighbor, Site
from controller.config.timings import PROFILES, Profile, Timings

__all__ = [
    "PROFILES",
    "WEIGHT_MAX",
    "AppServer",
    "Bgp",
    "Body",
    "Cluster",
    "ConfigError",
    "DatabaseConf",
    "Family",
    "Inspection",
    "Neighbor",
    "NotificationsConf",
    "Objectives",
    "PolicyConf",
    "ProbeConf",
    "ProbeKind",
    "ProbeScope",
    "Problem",
    "Profile",
    "Secret",
    "SecretError",
    "Service",
    "Site",
    "TargetConf",
    "Timings",
    "Verb",
    "VoterConf",
    "check_secret_files",
    "inspect",
    "inspect_text",
    "load",
    "load_for",
    "read_secret",
]
