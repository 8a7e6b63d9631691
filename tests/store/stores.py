"""Stores for the contract: connections to the same state, and a way to let time pass."""

from gatepost.store.guarded import GuardedBackend
from gatepost.store.memory import MemoryBackend
from gatepost.store.redis.url import parse_redis_url
from gatepost.store.sqlite.backend import SqliteBackend
from gatepost.store.store import Store

NOW = 1_800_000_000.0
# Five entries with keys and texts of 20 octets together.
QUOTA = 5 * 120
NAMESPACE = "contract"
# Long enough for a busy machine: these tests are not about deadlines.
PATIENT = 60.0


class Sync:
    """A store whose methods wait for the result; `batch` takes (method, *arguments) tuples."""

    def __init__(self, runner, store):
        self._runner = runner
        self.store = store

    def __getattr__(self, name):
        method = getattr(self.store, name)
        return lambda *args, **kwargs: self._runner.run(method(*args, **kwargs))

    def batch(self, *calls):
        async def execute():
            async with self.store.batch() as batch:
                return [getattr(batch, name)(*args, **kwargs) for name, args, kwargs in calls]

        return self._runner.run(execute())


def call(name, *args, **kwargs):
    return name, args, kwargs


class Stores:
    """Base: subclasses make a backend for each connection."""

    def __init__(self, runner):
        self.runner = runner
        self.now = NOW
        self.backends = []

    def clock(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds

    def open(self, namespace=NAMESPACE, *, guarded=True):
        backend = self.make()
        self.backends.append(backend)
        if guarded:
            backend = GuardedBackend(backend, name="test", clock=self.clock)
        return Sync(self.runner, Store(backend, namespace))

    def close(self):
        for backend in self.backends:
            self.runner.run(backend.close())


class MemoryStores(Stores):
    """All connections are to the one memory."""

    def __init__(self, runner, quota=QUOTA):
        super().__init__(runner)
        self._one = MemoryBackend(clock=self.clock, quota=quota)

    def make(self):
        return self._one


class SqliteStores(Stores):
    def __init__(self, runner, folder, quota=QUOTA, **options):
        super().__init__(runner)
        self.folder = folder
        self._options = {"timeout": PATIENT, "quota": quota, **options}

    def make(self):
        return SqliteBackend(self.folder, clock=self.clock, **self._options)


class RedisStores(Stores):
    """Time passes when the entries of the prefix are made older by the test."""

    def __init__(self, runner, server, prefix="gatepost:", url=None, timeout=PATIENT):
        super().__init__(runner)
        self._server = server
        self._prefix = prefix
        self._url = url or server.url
        self._timeout = timeout

    def make(self):
        from gatepost.store.redis.backend import RedisBackend

        return RedisBackend(parse_redis_url(self._url), prefix=self._prefix, timeout=self._timeout)

    AGE = """
    for _, key in ipairs(redis.call('KEYS', ARGV[1] .. '*')) do
      local left = redis.call('PTTL', key)
      local value = redis.call('GET', key)
      if string.sub(value, 1, 1) == '@' then
        value = '@' .. string.format('%.17g', tonumber(string.sub(value, 2)) - ARGV[2])
        redis.call('SET', key, value, 'KEEPTTL')
      end
      if left > ARGV[2] * 1000 then
        redis.call('PEXPIRE', key, string.format('%.0f', left - ARGV[2] * 1000))
      elseif left >= 0 then
        redis.call('DEL', key)
      end
    end
    return 'aged'
    """

    def advance(self, seconds):
        reply = self._server.command("EVAL", self.AGE, "0", self._prefix, str(seconds))
        assert reply == b"$4\r\naged\r\n", reply
