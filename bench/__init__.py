"""How fast pushd is, and what it costs, beside others: `make bench` runs it all and writes docs/benchmarks.

`works` says what is measured, `engines` who does it, `goals` what is to be reached. Single questions are programs of
their own: `clients` (what a POST costs), `endurance` (is memory flat), `profile` (where the time goes), `rates` (when
to listen and when to look), `retention` (does the ledger stay bounded), `sweep` (which index).
"""
