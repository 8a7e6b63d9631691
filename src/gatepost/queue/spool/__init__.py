"""The durable spool: messages that were answered 250 and are not delivered yet.

Theory of operation
-------------------
A worker has one SQLite file of its own and one thread that writes to it (`writer`). What comes in
while the thread waits for the disk shares the next commit, and so its one sync; what comes alone
waits for nobody. A file is in WAL mode with synchronous=FULL: a commit that has returned survives
a power cut, and other processes can read, and now and then write, beside the worker.

What is to be delivered at once is only put into a journal beside the file (`journal`, `fresh`): a
fraction of the work of tables, and as fast whatever is in them. What is left there after a
second goes to the tables, of which alone the rest of this package speaks.

`schema` has the tables, `records` what is in them, `store` the questions asked of a file, `folder`
whose file is whose. One that is damaged is set aside (`aside`), and what can be read of it
(`salvage`) put back (`progress`).
"""
