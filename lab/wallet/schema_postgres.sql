-- The wallet's ledger. Loaded once, as a superuser, into the database `wallet`.
-- One row is one transfer; the unique key is what makes a retry have its effect once.

CREATE TABLE IF NOT EXISTS ledger (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_key  text NOT NULL UNIQUE CHECK (length(transfer_key) BETWEEN 1 AND 64),
    from_account  text NOT NULL,
    to_account    text NOT NULL,
    amount        bigint NOT NULL CHECK (amount > 0),
    site          text NOT NULL,
    server        text NOT NULL,
    attempts      integer NOT NULL DEFAULT 1,
    created_at    timestamptz NOT NULL DEFAULT now()
);

-- The login is created by whoever provisions the server, before or after this file.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'wallet') THEN
        GRANT SELECT, INSERT, UPDATE ON ledger TO wallet;
    END IF;
END
$$;
