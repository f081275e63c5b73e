"""python -m pushd, the same as pushctl."""

from pushd.cli import main

main(prog_name="pushctl")
