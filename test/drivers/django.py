# packages: python3-django python3-psycopg2
import json
import os
import uuid
from django.conf import settings
from django.db import connection

settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql",
    "HOST": os.environ["PGHOST"], "PORT": os.environ["PGPORT"], "NAME": os.environ["PGDATABASE"],
    "USER": os.environ["PGUSER"], "PASSWORD": os.environ["PGPASSWORD"]}})
properties = {"title": "Ro\u00e4r", "plays": 3, "tags": ["a", 'b "c"'], "at": None}

with connection.cursor() as cursor:
    for user_id in (42, uuid.UUID("7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90"), "it's u1"):
        # from doc/clients.md
