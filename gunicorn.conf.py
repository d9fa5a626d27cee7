"""How the web process runs: greenlets, so that a thousand open live connections cost memory and no threads."""

import os

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gevent"
workers = int(os.environ.get("WEB_WORKERS", "1"))
worker_connections = 2000
timeout = 60
# Live connections never end by themselves; what matters ends within a moment.
graceful_timeout = 3
keepalive = 30
preload_app = False
accesslog = None
loglevel = "warning"
control_socket_disable = True
