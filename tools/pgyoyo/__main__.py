"""`python -m pgyoyo`, the same as the command `pgyoyo`."""

from pgyoyo.cli import main

main()
