"""The application for any ASGI server: `uvicorn machine_monitor.asgi:app`, or `hypercorn`, or `granian`.

Importing this module reads the settings from the environment; the database is opened when the server starts.
"""

from machine_monitor import config
from machine_monitor.api.app import create_app
from machine_monitor.api.serving import tracing
from machine_monitor.api.serving.logs import configure

settings = config.load()
app = create_app(settings, configure(settings), tracing.from_environment())
