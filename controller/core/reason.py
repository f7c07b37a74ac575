"""Every reason a decision can have: one line each, in the operator's words."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a site does what it does, or does nothing."""

    RECORD_UNKNOWN = "the epoch record has not been read since this daemon started"
    EPOCH_BELOW_FLOOR = (
        "the store offers an epoch below one this site has promised never to go under"
    )
    PAUSED = "automation is paused by an operator"
    EPOCH_LOST = "another site owns a newer epoch"
    ISOLATED = "this site reaches neither the store nor any other site, and nothing is acknowledged"
    LEASE_LAPSED = "the lease was not renewed in time"
    BOOTSTRAP = "no epoch exists yet and this site is the configured first holder"
    NO_EPOCH_YET = "no epoch exists yet; the configured first holder creates it"
    HOLDER_SILENT = "the holder is silent to this site and to the witness"
    HOLDER_CONTROLLER_GONE = "the holder's controller has been silent for longer than its grace"
    HOLDER_YIELDS = "the holder asks to be relieved"
    HOLDER_DIED_CLIMBING = "the holder of the epoch died before it had taken over"
    HOLDER_STUCK = "the holder cannot finish its takeover and asks to be relieved"
    EPOCH_USED_UP = "a database of this site was primary of this epoch and has been restarted"
    OUT_OF_SIGHT = "a database of this primary does not answer; nothing else has changed"
    TAKING_OVER = "this site owns the epoch and climbs"
    TAKEOVER_RESUMED = "this site owns the epoch and goes on with a takeover it finds half-climbed"
    PRIMARY = "this site owns the epoch and serves"
    PRIMARY_BY_EVIDENCE = (
        "the store is unreachable, but other voters acknowledge this site's commits"
    )
    REJOINING = "another site is primary; this site becomes its standby"
    STANDBY = "another site is primary; this site follows it"
    AWAITING_HOLDER = "sealed for the new epoch; its holder has not promoted yet"
    FAILOVER_REFUSED = "the holder is silent, but this site cannot take over"
    FLAP_WINDOW = "a role change happened a short while ago; the next one needs an operator"
    NOTHING_TO_DO = "nothing to do"
