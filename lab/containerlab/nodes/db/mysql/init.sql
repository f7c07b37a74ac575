-- What every server of the cluster starts from, the same on all of them and in nobody's log: it is
-- loaded as the first start's init-file. Rendered by provision.sh.

SET sql_log_bin = 0;
ALTER USER root@localhost IDENTIFIED WITH auth_socket;

CREATE DATABASE IF NOT EXISTS tricast CHARACTER SET utf8mb4;

-- Replicated: one row per epoch, the first record of each.
CREATE TABLE IF NOT EXISTS tricast.epoch (
    epoch BIGINT NOT NULL PRIMARY KEY,
    holder VARCHAR(64) NOT NULL,
    at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB;

-- Replicated: the controllers' own test writes.
CREATE TABLE IF NOT EXISTS tricast.canary (
    site VARCHAR(64) NOT NULL PRIMARY KEY,
    token VARCHAR(128) NOT NULL,
    at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
) ENGINE=InnoDB;

-- Never replicated: what the last start of this very server found.
CREATE TABLE IF NOT EXISTS tricast.start (
    id TINYINT NOT NULL PRIMARY KEY,
    pending TINYINT NOT NULL,
    tail VARCHAR(1000) NOT NULL DEFAULT '',
    tail_epoch BIGINT NOT NULL DEFAULT 0,
    diverged VARCHAR(500) NOT NULL DEFAULT '',
    level TINYINT NOT NULL DEFAULT 0
) ENGINE=InnoDB;

-- Never replicated: the accounts that the gate has locked, so that it opens no others.
CREATE TABLE IF NOT EXISTS tricast.gated (
    user VARCHAR(128) NOT NULL,
    host VARCHAR(255) NOT NULL,
    PRIMARY KEY (user, host)
) ENGINE=InnoDB;

CREATE USER IF NOT EXISTS tricast@'@CLIENTS@' IDENTIFIED BY '@SECRET_database@';
GRANT PROCESS, RELOAD, CREATE USER, REPLICATION CLIENT ON *.* TO tricast@'@CLIENTS@';
GRANT SYSTEM_VARIABLES_ADMIN, SESSION_VARIABLES_ADMIN, CONNECTION_ADMIN, REPLICATION_SLAVE_ADMIN,
    BINLOG_ADMIN, BACKUP_ADMIN, CLONE_ADMIN, SYSTEM_USER ON *.* TO tricast@'@CLIENTS@';
GRANT SELECT, INSERT, UPDATE, DELETE ON tricast.* TO tricast@'@CLIENTS@';
GRANT SELECT ON mysql.user TO tricast@'@CLIENTS@';
GRANT SELECT ON mysql.role_edges TO tricast@'@CLIENTS@';
GRANT SELECT ON performance_schema.* TO tricast@'@CLIENTS@';

CREATE USER IF NOT EXISTS voter_dc1@'@CLIENTS@' IDENTIFIED BY '@SECRET_voter_dc1@';
CREATE USER IF NOT EXISTS voter_dc2@'@CLIENTS@' IDENTIFIED BY '@SECRET_voter_dc2@';
CREATE USER IF NOT EXISTS voter_witness@'@CLIENTS@' IDENTIFIED BY '@SECRET_voter_witness@';
CREATE USER IF NOT EXISTS rejoin_dc1@'@CLIENTS@' IDENTIFIED BY '@SECRET_rejoin_dc1@';
CREATE USER IF NOT EXISTS rejoin_dc2@'@CLIENTS@' IDENTIFIED BY '@SECRET_rejoin_dc2@';
GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO voter_dc1@'@CLIENTS@', voter_dc2@'@CLIENTS@',
    voter_witness@'@CLIENTS@', rejoin_dc1@'@CLIENTS@', rejoin_dc2@'@CLIENTS@';
-- A database whose log holds what no other history has comes back as a copy of the primary.
GRANT BACKUP_ADMIN ON *.* TO rejoin_dc1@'@CLIENTS@', rejoin_dc2@'@CLIENTS@';
GRANT SELECT ON tricast.epoch TO rejoin_dc1@'@CLIENTS@', rejoin_dc2@'@CLIENTS@';

CREATE DATABASE IF NOT EXISTS wallet CHARACTER SET utf8mb4;
CREATE USER IF NOT EXISTS wallet@'@CLIENTS@' IDENTIFIED BY '@SECRET_wallet@';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER ON wallet.* TO wallet@'@CLIENTS@';
