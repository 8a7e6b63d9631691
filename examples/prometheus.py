"""Count commands, refusals and the time of plugins for Prometheus.

    [[plugin]]
    use = "plugins/prometheus.py"
    options = { folder = "/var/lib/prometheus/node-exporter" }

Each worker writes a file for the textfile collector of Prometheus' node_exporter, with a label
`worker`; sum over it. No port is opened. A reload starts the counters at zero, as a restart does.
"""

from pathlib import Path

from gatepost import Outcome, Plugin, Reply, Session, Transaction, blocking


class Prometheus(Plugin):
    """Writes metrics to a file, every 15 seconds."""

    class Options(Plugin.Options):
        """`folder` is that of the textfile collector."""

        folder: Path = Path("metrics")

    def start(self) -> None:
        """Write the first file after 15 seconds."""
        self.every("15s", self.write)

    def after_any(
        self, hook: str, _session: Session, _tx: Transaction | None, outcome: Outcome
    ) -> None:
        """Count the reply, and the time of each plugin."""
        self.metrics.counter("replies", hook=hook, code=str(outcome.reply.code)).inc()
        for one in outcome.asked:
            self.metrics.histogram("seconds", plugin=one.plugin).observe(one.seconds)

    def on_fault(self, _session: Session, _tx: Transaction | None, reply: Reply) -> None:
        """Count malformed input."""
        self.metrics.counter("faults", code=str(reply.code)).inc()

    @blocking
    def write(self) -> None:
        """Replace the file of this worker."""
        path = self.options.folder / f"gatepost-{self.server.worker}.prom"
        text = ""
        for one in self.metrics.samples(self.name):
            labels = "".join(f',{name}="{value}"' for name, value in one.labels.items())
            text += f'{one.name}{{worker="{self.server.worker}"{labels}}} {one.value}\n'
        path.with_suffix(".tmp").write_text(text)
        path.with_suffix(".tmp").replace(path)
