"""The durable spool: accepted messages that are not delivered yet.

Theory of operation
-------------------
Each worker has its own SQLite file and one thread that writes to it (`writer`). Messages that
arrive while the thread waits for the disk share the next commit and its single sync. A message
that arrives alone is committed immediately. A file is in WAL mode with synchronous=FULL: a commit
that has returned survives a power cut, and other processes can read, and occasionally write, while
the worker runs.

A message that is delivered immediately is only written to a journal next to the file (`journal`,
`memtable`). This costs a fraction of the tables' work and does not depend on the size of the file.
After a second, the remaining messages move to the `tables`. `store` decides between the two.

`schema` has the tables, `records` their rows as types. `insert`, `take` and `outcomes` have the
queries, `destinations` an index of due work. `folder` has the ownership of files, `admin` the
commands of an administrator. A damaged file is renamed (`corrupt`, `opening`), and its readable
messages are recovered (`salvage`).
"""
