-- The wallet's session journal. The whole file may be loaded again without harm.
-- Keys are compared byte by byte: a collation that folds case would merge two transfers.

CREATE DATABASE IF NOT EXISTS wallet CHARACTER SET utf8mb4;

CREATE TABLE IF NOT EXISTS wallet.journal (
    id            BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    transfer_key  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    from_account  VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    to_account    VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    amount        BIGINT NOT NULL,
    site          VARCHAR(64) NOT NULL,
    server        VARCHAR(64) NOT NULL,
    attempts      INT UNSIGNED NOT NULL DEFAULT 1,
    created_at    TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
    UNIQUE KEY one_effect (transfer_key)
) ENGINE=InnoDB;
