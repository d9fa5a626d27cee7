"""How the web process runs: greenlets, so that a thousand open live connections cost memory and no threads."""

import gc
import os
import resource

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gevent"
workers = int(os.environ.get("WEB_WORKERS", "1"))
worker_connections = 2000
# Each connection is an open file, and many systems allow a process 1,024 unless it asks for more.
_files = worker_connections + 500
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
_allowed = _files if _hard == resource.RLIM_INFINITY else min(_files, _hard)
if _soft != resource.RLIM_INFINITY and _soft < _allowed:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_allowed, _hard))
timeout = 60
# Live connections never end by themselves; what matters ends within a moment.
graceful_timeout = 3
keepalive = 30
preload_app = False
accesslog = None
loglevel = "warning"
control_socket_disable = True


def post_worker_init(_worker: object) -> None:
    """What the application is made of stays: the collector need not walk through it again and again."""
    gc.collect()
    gc.freeze()
