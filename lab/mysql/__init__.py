"""MySQL in the place of MariaDB, for the lab and the contract tests (LAB_MYSQL=mysql)."""
