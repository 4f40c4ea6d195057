"""What an operator sees of a process from outside. Each is off unless a setting turns it on.

observer  what the parts of a process report to    metrics  what is counted, for Prometheus
tracing   spans, for OpenTelemetry                  gauges   what is read when somebody asks
names     operations that are counted by name       server   the port at which metrics are read
"""
