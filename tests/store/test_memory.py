"""The store in memory keeps no more than its entries."""

from tests.store.stores import MemoryStores


def test_writing_a_key_often_needs_no_more_memory(runner):
    stores = MemoryStores(runner)
    store = stores.open(guarded=False)
    for _ in range(1000):
        stores.advance(1)
        store.set("k", 1, ttl=100)
    (space,) = stores.backends[0]._namespaces.values()
    assert len(space._expiring) <= 100
    assert store.get("k") == 1
