"""Write databases in files."""

import cdbx
import lmdb


def write_cdb(path, content):
    new = path.with_suffix(".new")
    with new.open("w+b") as file:
        maker = cdbx.CDB.make(file)
        for key, value in content.items():
            maker.add(key, value)
        maker.commit()
    new.replace(path)


def write_lmdb(path, content, *, size=1 << 20, **options):
    options = {"subdir": False, "lock": False, "map_size": size} | options
    with lmdb.open(str(path), **options) as database, database.begin(write=True) as transaction:
        for key, value in content.items():
            transaction.put(key, value)
