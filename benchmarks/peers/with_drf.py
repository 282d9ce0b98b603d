"""Django REST framework: read-only, with models and serializers as in its tutorial, on the product's tables."""

import os

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["rest_framework"],
    DATABASES={
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["BENCH_FILE"], "CONN_MAX_AGE": None}
    },
    TIME_ZONE="UTC",
    USE_TZ=True,
    REST_FRAMEWORK={
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
    },
)
django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 -- Django requires its settings first
from django.db import models  # noqa: E402 -- the same
from django.urls import path  # noqa: E402 -- the same
from rest_framework import generics, pagination, serializers  # noqa: E402 -- the same

SEVERITIES = ((0, "info"), (1, "minor"), (2, "major"), (3, "critical"))
FILTERS = {
    "type": "type",
    "machine": "machine__name",
    "started_at__gte": "started_at__gte",
    "started_at__lt": "started_at__lt",
}


class StoredTime(models.DateTimeField):
    """A time in the format of the product's SQLite file."""

    def get_db_prep_value(self, value, connection, prepared=False):  # noqa: ANN001, ANN201, FBT002 -- Django's signature
        """Format a time like the stored ones, for comparisons."""
        stored = super().get_db_prep_value(value, connection, prepared)
        return stored and str(stored).replace(" ", "T")


class Machine(models.Model):
    """The table of machines."""

    name = models.TextField()
    sector = models.TextField(null=True)
    usage = models.TextField(null=True)
    manufacturer = models.TextField(null=True)
    model = models.TextField(null=True)
    serial_number = models.TextField(null=True)
    year_of_acquisition = models.IntegerField(null=True)
    in_service = models.BooleanField(null=True)
    comment = models.TextField(null=True)
    attributes = models.JSONField()
    version = models.IntegerField()
    created_at = StoredTime()
    updated_at = StoredTime()

    class Meta:
        app_label = "benchmarks"
        managed = False
        db_table = "machines"


class Log(models.Model):
    """The table of logs."""

    uuid = models.TextField()
    machine = models.ForeignKey(Machine, models.PROTECT)
    type = models.TextField()
    severity = models.SmallIntegerField(choices=SEVERITIES)
    status = models.TextField()
    comment = models.TextField(null=True)
    cause = models.TextField(null=True)
    action = models.TextField(null=True)
    project = models.TextField(null=True)
    user = models.TextField(null=True)
    started_at = StoredTime()
    ended_at = StoredTime(null=True)
    down_from = StoredTime(null=True)
    down_to = StoredTime(null=True)
    down_kind = models.TextField(null=True)
    attributes = models.JSONField()
    version = models.IntegerField()
    created_at = StoredTime()
    updated_at = StoredTime()
    deleted_at = StoredTime(null=True)

    class Meta:
        app_label = "benchmarks"
        managed = False
        db_table = "logs"


class LogSerializer(serializers.ModelSerializer):
    """A log in a response."""

    machine = serializers.CharField(source="machine.name")
    severity = serializers.CharField(source="get_severity_display")

    class Meta:
        model = Log
        exclude = ("id", "deleted_at")


class NewestFirst(pagination.CursorPagination):
    """Cursor pagination, which needs no count."""

    page_size = 50
    ordering = ("-started_at", "-id")


class Logs(generics.ListAPIView):
    """List logs, newest first."""

    serializer_class = LogSerializer
    pagination_class = NewestFirst

    def get_queryset(self):  # noqa: ANN201 -- Django's signature
        """Return the logs that match the parameters."""
        given = {FILTERS[name]: value for name, value in self.request.query_params.items() if name in FILTERS}
        return Log.objects.select_related("machine").filter(deleted_at=None, **given)


class LogDetail(generics.RetrieveAPIView):
    """Read one log."""

    serializer_class = LogSerializer
    queryset = Log.objects.select_related("machine").filter(deleted_at=None)
    lookup_field = "uuid"


urlpatterns = [path("logs", Logs.as_view()), path("logs/<uuid>", LogDetail.as_view())]
application = get_wsgi_application()
