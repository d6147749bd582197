# packages: python3-sqlalchemy python3-psycopg2
import json
import uuid
from sqlalchemy import create_engine, text

properties = {"title": "Ro\u00e4r", "plays": 3, "tags": ["a", 'b "c"'], "at": None}

with create_engine("postgresql://").begin() as connection:
    for user_id in (42, uuid.UUID("7f1c9ae2-4c1f-4a5e-9b0e-1f6d3c2b7a90"), "it's u1"):
        # from doc/clients.md
