"""Every reason a decision can have: one line each, in the operator's words."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a site does what it does, or does nothing."""

    RECORD_UNKNOWN = "the epoch record has not been read since this daemon started"
    EPOCH_BELOW_FLOOR = (
        "the store offers an epoch below one this site has promised never to go under; "
        "a failover to the site that is to serve puts it right"
    )
    EPOCH_MISSING = "the store has lost the record of an epoch that this site has promised"
    PAUSED = "automation is paused by an operator"
    HANDING_OVER = "an operator asks this site to hand over, and it does"
    HAND_OVER_REFUSED = "an operator asks this site to hand over, and the candidate cannot"
    TAKING_BACK = "the hand-over did not succeed in time: clients are served here again"
    HOLDER_DIED_HANDING_OVER = "the holder fell silent while it handed over to this site"
    RECEIVER_LATE = "this site handed over, and the other one did not take over in time"
    FAILOVER_ASKED = "an operator asks this site to take over"
    FAILOVER_ASKED_REFUSED = "an operator asks this site to take over, and it cannot"
    DRAINING = "an operator drains this site: it asks to hand over"
    DRAINED = "an operator has drained this site; another one serves"
    ALONE = "an operator has ordered this site to serve without any other voter"
    REDUNDANCY_BACK = "other voters follow again: commits wait for one of them"
    EPOCH_LOST = "another site owns a newer epoch"
    ISOLATED = "this site reaches neither the store nor any other site, and nothing is acknowledged"
    LEASE_LAPSED = "the lease was not renewed in time"
    LEASE_AWAITED = "this site was handed the epoch, and takes its lease before it serves"
    LEASE_LET_GO = (
        "something keeps this site from serving: it stops, so that another may relieve it"
    )
    LEASE_FORGOTTEN = (
        "etcd has lost the epoch of this lease, and may lease the service to another site"
    )
    LEASE_UNKNOWN = "the store is unreachable, and whether this site still has its lease is unknown"
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
