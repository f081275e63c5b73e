"""PostgreSQL lets nobody in: what mends it, told from the words with which it refused.

There is nothing else to tell it from: libpq does not hand out the code of what
ends a connection before it began. A server that speaks another language than
English gets the general answer.
"""

_REMEDIES = {
    "Peer authentication failed": (
        "pg_hba.conf lets in only the user of this host who has the role's name, or is mapped to it in pg_ident.conf: "
        "do it as that user (runuser -u pushd -- pushctl …), map it (README, what the DBA does), "
        "or connect by TCP with a password: host=127.0.0.1"
    ),
    "Ident authentication failed": "map the user of this host to the role in pg_ident.conf, or let it use a password",
    "password authentication failed": "mend the password in database.dsn, or set it: alter role … password '…';",
    "no password supplied": "put the password into database.dsn, or the whole connection string into a dsn_file",
    "no pg_hba.conf entry": "the DBA adds a line for this host, role and database to pg_hba.conf, and reloads",
    "is not permitted to log in": "alter role … login;",
    "too many connections": "raise the role's or the database's connection limit",
    "connection slots are reserved": "raise max_connections, or end sessions that nobody needs",
    "too many clients already": "raise max_connections, or end sessions that nobody needs",
}
_UNKNOWN = {
    "role": "apply sql/, which makes pushd_daemon, or mend user in database.dsn",
    "database": "mend dbname in database.dsn",
}
_NOT_REACHED = "see that the primary runs, that it can be reached from here, and that database.dsn leads to it"
_NO_DSN = (
    "database.dsn is empty, so libpq's defaults were tried: where only the service has the connection string, "
    "as a credential, name its file: PUSHD_DATABASE_DSN_FILE=/etc/credstore/pushd.database_dsn"
)


def remedy(said: str, dsn: str) -> str:
    """What a person can do about a connection that was refused with these words."""
    if not dsn:
        return _NO_DSN
    for words, mends in _REMEDIES.items():
        if words in said:
            return mends
    for what, mends in _UNKNOWN.items():
        if f'{what} "' in said and "does not exist" in said:
            return mends
    return _NOT_REACHED
